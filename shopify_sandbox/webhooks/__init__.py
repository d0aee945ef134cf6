"""Webhooks that the sandbox sends when something happens in a store."""
