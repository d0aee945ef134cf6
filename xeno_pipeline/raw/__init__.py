"""From Shopify's objects to the raw tables: what they are, how nodes map to them, and how rows get there."""
