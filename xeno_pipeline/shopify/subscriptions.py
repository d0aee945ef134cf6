"""The webhook subscriptions that an app has in one shop by the Admin API.

Those in the app's configuration file are not among them, and the mandatory privacy topics can only be subscribed there:
https://shopify.dev/docs/apps/build/webhooks/subscribe
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import AccessDeniedError, ShopifyError, TimedOutError, TooCostlyError
from xeno_pipeline.shopify.queries import operation

TOPICS = (
    *("orders/create", "orders/updated", "orders/delete", "refunds/create"),
    *("customers/create", "customers/update", "customers/delete", "customers/merge"),
    *("products/create", "products/update", "products/delete"),
    *("checkouts/create", "checkouts/update", "carts/create", "carts/update"),
    *("bulk_operations/finish", "app/uninstalled", "shop/update"),
)
"""What the gateway takes, by the names that headers have."""

_PAGE = 250
_TAKEN = "has already been taken"
_NOT_FOUND = "does not exist"


class SubscriptionRefusedError(ShopifyError):
    """Shopify does not subscribe the app to a topic: most often its token lacks a scope."""


@dataclass(frozen=True)
class Subscription:
    """One subscription.

    Args:
        id: its gid.
        topic: as headers write it: `orders/create`; a topic that is not ours as the Admin API does.
        uri: where it is delivered.
        is_whole: as JSON, of everything that happens, with all fields.
    """

    id: str
    topic: str
    uri: str
    is_whole: bool


class Subscriptions:
    """The subscriptions of one shop.

    Args:
        client: the shop's client.
    """

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client

    def list_all(self) -> list[Subscription]:
        """All of them, oldest first.

        Raises:
            ShopifyError: they cannot be read.
        """
        found: list[Subscription] = []
        after: str | None = None
        size = _PAGE
        while True:
            variables = {"first": size, "after": after}
            try:
                data = self._client.execute(operation("WebhookSubscriptions"), variables, can_shrink=size > 1).data
            except (TimedOutError, TooCostlyError):
                if size == 1:
                    raise
                size //= 2
                continue
            page = data["webhookSubscriptions"]
            found += [_subscription(node) for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def create(self, topic: str, uri: str) -> None:
        """Subscribe to a topic; where that was done meanwhile, it is well too.

        Raises:
            SubscriptionRefusedError: Shopify does not subscribe this app to it.
            ShopifyError: it cannot be reached.
        """
        self._change("WebhookSubscriptionCreate", topic, {"topic": _WRITTEN[topic], "subscription": _whole(uri)})

    def update(self, subscription: Subscription, uri: str) -> None:
        """Deliver to another address, whole.

        Raises:
            SubscriptionRefusedError: Shopify refuses it.
            ShopifyError: it cannot be reached.
        """
        variables = {"id": subscription.id, "subscription": _whole(uri)}
        self._change("WebhookSubscriptionUpdate", subscription.topic, variables)

    def delete(self, subscription: Subscription) -> None:
        """Deliver no more.

        Raises:
            SubscriptionRefusedError: Shopify refuses it.
            ShopifyError: it cannot be reached.
        """
        self._change("WebhookSubscriptionDelete", subscription.topic, {"id": subscription.id})

    def _change(self, name: str, topic: str, variables: Mapping[str, Any]) -> None:
        try:
            (answer,) = self._client.execute(operation(name), variables).data.values()
        except AccessDeniedError as error:
            raise SubscriptionRefusedError(self._client.tenant, topic, f"was refused: {error}") from error
        problems = [problem["message"] for problem in answer["userErrors"]]
        if any(_TAKEN not in problem and _NOT_FOUND not in problem for problem in problems):
            raise SubscriptionRefusedError(self._client.tenant, topic, f"was refused: {'; '.join(problems)}.")


def _subscription(node: Mapping[str, Any]) -> Subscription:
    is_whole = node["format"] == "JSON" and not node["filter"] and not node["includeFields"]
    return Subscription(node["id"], _READ.get(node["topic"], node["topic"]), node["uri"], is_whole)


def _whole(uri: str) -> dict[str, Any]:
    return {"uri": uri, "format": "JSON", "filter": "", "includeFields": []}


_WRITTEN = {topic: topic.replace("/", "_").upper() for topic in TOPICS}
_READ = {written: topic for topic, written in _WRITTEN.items()}
