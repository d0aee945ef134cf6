"""The access scopes that tokens need, and that stores are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from xeno_pipeline.settings import Settings

REQUIRED_SCOPES = ("read_customers", "read_orders", "read_products")
"""Without these nothing can be loaded."""


def configured_scopes(settings: Settings) -> list[str]:
    """The scopes of XENO_SHOPIFY_SCOPES."""
    return [scope.strip() for scope in settings.shopify_scopes.split(",") if scope.strip()]


def missing_scopes(wanted: Iterable[str], granted: Iterable[str]) -> list[str]:
    """The wanted scopes that were not granted; write access includes read access."""
    granted = set(granted)
    return sorted(set(wanted) - granted - {scope.replace("write_", "read_", 1) for scope in granted})
