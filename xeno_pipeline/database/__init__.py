"""Postgres: the connection, the embedded server, migrations and loading. Knows no Shopify and no Dagster."""
