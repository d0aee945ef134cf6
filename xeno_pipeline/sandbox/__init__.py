"""A local server that plays Shopify stores: for the demo, the tests, the benchmark and anyone without a store.

Nothing else in the package imports it (the command line does, lazily), and it reads of the package only the
pruned schema and the list of search filters in `xeno_pipeline/shopify`.
"""
