"""What happens at Shopify without a word: no webhook, and nothing that a read of changes would meet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shopify_sandbox.controls.changes.subject import ChangeError, named
from shopify_sandbox.model.times import instant
from shopify_sandbox.state.store import Store


def vanish(store: Store, kind: str, number: int) -> None:
    """Delete an object without a webhook, as if it had been lost."""
    store.delete(kind, named(store, kind, number).id)


def backdate(store: Store, kind: str, number: int, at: str) -> None:
    """Set when an object was created and last changed (ISO, with a zone), without a webhook."""
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ChangeError(f"{at!r} is no time with a zone, such as 2026-06-30T00:00:00Z.")
    found = named(store, kind, number)
    found.created_at = found.updated_at = instant(moment)
    if kind == "Order":
        found.processed_at = found.created_at
    store.save(kind, found)


def set_rfm_group(store: Store, number: int, group: str | None) -> None:
    """Shopify places a customer in another RFM group; that is no change of the customer."""
    customer = named(store, "Customer", number)
    customer.rfm_group = group
    store.save("Customer", customer)


SILENT: dict[str, Any] = {action.__name__: action for action in (vanish, backdate, set_rfm_group)}
"""By name, what `POST /{handle}/sandbox/silent/{name}` does."""
