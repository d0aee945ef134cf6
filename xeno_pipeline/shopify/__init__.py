"""The Shopify client: a plain library over the GraphQL Admin API. Knows no database and no Dagster."""
