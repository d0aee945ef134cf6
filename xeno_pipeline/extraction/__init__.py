"""Extract and load: from a store's Admin API to its raw rows. Knows no Dagster."""
