"""The assets: Shopify, the raw tables, and the dbt models; with what is shown on their pages."""
