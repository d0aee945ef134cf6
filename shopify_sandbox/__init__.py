"""A local server that plays Shopify stores: for the demo, the tests, the benchmark and anyone without a store.

It imports nothing of xeno-pipeline, whose command line and demo import it lazily. What it answers by, Shopify's
schema (pruned) and the search filters that it documents, is in `data`.

A store is described by a `spec`, played by a `server`, started by a `process`, and steered through `control`. Its
history comes from a `generator` or an `order_file`; `state` keeps it and what changed since, as the objects of `model`.
The `api` answers queries: `execution` holds the schema and its connections, `search` the filters, `bulk` the bulk
operations, and `access`, `cost` and `errors` one rule each. `controls` are what tests do: faults, changes, a report.
Of what changes, `webhooks` tells whoever subscribed.
"""
