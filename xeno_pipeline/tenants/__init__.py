"""Tenants: the registry, credentials, onboarding and off-boarding. Knows no Dagster."""
