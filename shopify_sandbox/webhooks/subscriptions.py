"""The webhook subscriptions of one store, made by the Admin API. Answers are as recorded."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from shopify_sandbox.model.documents import gid
from shopify_sandbox.model.money import Document
from shopify_sandbox.state.store import Store

_NAME = "webhook_subscriptions"
_FIRST_ID = 1_929_113_141_554
_ADDRESS = ["webhookSubscription", "callbackUrl"]
_SCOPES = {
    "CUSTOMERS_MERGE": "read_customer_merge",
    **dict.fromkeys(("ORDERS", "REFUNDS", "CHECKOUTS", "CARTS"), "read_orders"),
    "CUSTOMERS": "read_customers",
    "PRODUCTS": "read_products",
}
"""What a topic needs, or all that begin with a word (schema, `WebhookSubscriptionTopic`)."""


class Subscriptions:
    """A store's subscriptions; they are remembered over a restart. Every method is called within the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def documents(self) -> list[Document]:
        """All of them, oldest first."""
        documents: list[Document] = self._store.overlay.setting(_NAME, [])
        return documents

    def uris(self, topic: str) -> list[str]:
        """Where what happens is delivered.

        Args:
            topic: As headers write it: `orders/create`.
        """
        return [document["uri"] for document in self.documents() if document["topic"] == _written(topic)]

    def create(self, topic: str, given: Document, scopes: Collection[str]) -> Document:
        """`webhookSubscriptionCreate`: what the mutation answers."""
        needed = _SCOPES.get(topic) or _SCOPES.get(topic.partition("_")[0])
        if needed is not None and needed not in scopes:
            name = topic.lower().replace("_", "/", 1)
            message = f"You do not have permission to create or update webhooks with {name} topic"
            return _refused(["topic"], message)
        documents = self.documents()
        wanted: Document = {"filter": None, "format": "JSON", "includeFields": [], **given}
        problem = _problem(documents, topic, wanted)
        if problem:
            return _refused(_ADDRESS, problem)
        number = self._store.overlay.setting(f"{_NAME}_made", 0) + 1
        self._store.overlay.set(f"{_NAME}_made", number)
        identity = gid("WebhookSubscription", _FIRST_ID + 32_768 * number)
        created = {"__typename": "WebhookSubscription", "id": identity, "topic": topic, **wanted}
        self._remember([*documents, created])
        return {"webhookSubscription": created, "userErrors": []}

    def update(self, identity: str, given: Document) -> Document:
        """`webhookSubscriptionUpdate`: what the mutation answers."""
        documents = self.documents()
        others = [document for document in documents if document["id"] != identity]
        if len(others) == len(documents):
            return _refused(["id"], "Webhook subscription does not exist")
        (found,) = (document for document in documents if document["id"] == identity)
        changed = found | given
        problem = _problem(others, found["topic"], changed)
        if problem:
            return _refused(_ADDRESS, problem)
        self._remember([*others, changed])
        return {"webhookSubscription": changed, "userErrors": []}

    def delete(self, identity: str) -> Document:
        """`webhookSubscriptionDelete`: what the mutation answers."""
        documents = self.documents()
        others = [document for document in documents if document["id"] != identity]
        if len(others) == len(documents):
            errors = [{"field": ["id"], "message": "Webhook subscription does not exist"}]
            return {"deletedWebhookSubscriptionId": None, "userErrors": errors}
        self._remember(others)
        return {"deletedWebhookSubscriptionId": identity, "userErrors": []}

    def drop(self, topic: str | None) -> int:
        """Delete those of a topic (`orders/create`), or all, as Shopify does after failures.

        Returns:
            How many they were.
        """
        documents = self.documents()
        kept = [document for document in documents if topic and document["topic"] != _written(topic)]
        self._remember(kept)
        return len(documents) - len(kept)

    def _remember(self, documents: list[Document]) -> None:
        self._store.overlay.set(_NAME, sorted(documents, key=lambda document: document["id"]))


def _written(topic: str) -> str:
    """A topic as the Admin API writes it: `ORDERS_CREATE`."""
    return topic.replace("/", "_").upper()


def _problem(others: list[Document], topic: str, wanted: dict[str, Any]) -> str | None:
    """What Shopify would say of an address; it takes none without TLS, which a sandbox has not."""
    uri = wanted.get("uri") or ""
    if not uri:
        return "Address can't be blank"
    if not uri.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return f"Address protocol {uri.partition('://')[0]}:// is not supported"
    same = ("uri", "filter", "format")
    if any(other["topic"] == topic and all(other[name] == wanted[name] for name in same) for other in others):
        return "Address for this topic has already been taken"
    return None


def _refused(path: list[str], message: str) -> Document:
    return {"webhookSubscription": None, "userErrors": [{"field": path, "message": message}]}
