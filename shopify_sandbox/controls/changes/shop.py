"""The shop itself, changed."""

from __future__ import annotations

from shopify_sandbox.controls.changes.subject import Touched
from shopify_sandbox.state.store import Store


def update_shop(
    store: Store, *, name: str | None = None, timezone: str | None = None, domain: str | None = None
) -> Touched:
    """Change the shop's own facts: its name, its time zone (as changed, not as used), its domain."""
    given = {"name": name, "ianaTimezone": timezone, "myshopifyDomain": domain}
    changed = store.overlay.setting("shop", {}) | {field: value for field, value in given.items() if value is not None}
    store.overlay.set("shop", changed)
    return {}
