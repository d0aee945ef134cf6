"""The web process that receives Shopify's webhooks: each is verified, stored, and only then acknowledged."""
