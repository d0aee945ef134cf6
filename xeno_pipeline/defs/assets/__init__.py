"""The assets: Shopify's objects, the raw tables, and the dbt models, with the previews and charts on their pages."""
