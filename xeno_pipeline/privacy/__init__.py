"""Privacy requests from Shopify's mandatory webhooks: their storage, processing and deadlines. Knows no Dagster."""
