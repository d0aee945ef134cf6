"""The web process that Shopify's webhooks come to: each is verified, kept, and only then acknowledged."""
