"""Many Shopify stores in one Postgres, kept current and modelled into tenant-scoped marts."""
