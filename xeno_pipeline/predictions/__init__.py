"""Which customers will order again, how often, and for how much: models fitted per tenant, and their backtests.

Only `fit` and what it imports needs numpy and scipy: it is imported where a model is fitted, so that no other process
starts more slowly.
"""
