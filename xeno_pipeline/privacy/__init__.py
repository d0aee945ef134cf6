"""Privacy law, obeyed by the system: what Shopify asks for, what is done about it, by when. Knows no Dagster."""
