"""The webhook subscriptions of an app in one shop, managed by the Admin API.

It does not list those in the app's configuration file, where alone the mandatory privacy topics can be subscribed:
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
"""The topics that the gateway accepts, as headers name them."""

_PAGE = 250
_TAKEN = "has already been taken"
_NOT_FOUND = "does not exist"


class SubscriptionRefusedError(ShopifyError):
    """Shopify does not subscribe the app to a topic, most often because its token lacks a scope."""


@dataclass(frozen=True)
class Subscription:
    """One subscription.

    Args:
        id: its gid.
        topic: as in headers, `orders/create`; a topic that is not ours as in the Admin API.
        uri: the address of deliveries.
        is_whole: whether it delivers JSON with all fields, unfiltered.
    """

    id: str
    topic: str
    uri: str
    is_whole: bool


class Subscriptions:
    """The subscriptions of one shop."""

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
        """Subscribe to a topic. An existing subscription counts as success.

        Raises:
            SubscriptionRefusedError: Shopify does not subscribe this app to it.
            ShopifyError: it cannot be reached.
        """
        self._change("WebhookSubscriptionCreate", topic, {"topic": _API_NAMES[topic], "subscription": _whole(uri)})

    def update(self, subscription: Subscription, uri: str) -> None:
        """Change the address of a subscription, and deliver all fields, unfiltered.

        Raises:
            SubscriptionRefusedError: Shopify refuses it.
            ShopifyError: it cannot be reached.
        """
        variables = {"id": subscription.id, "subscription": _whole(uri)}
        self._change("WebhookSubscriptionUpdate", subscription.topic, variables)

    def delete(self, subscription: Subscription) -> None:
        """Delete a subscription.

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
    return Subscription(node["id"], _TOPICS_BY_API_NAME.get(node["topic"], node["topic"]), node["uri"], is_whole)


def _whole(uri: str) -> dict[str, Any]:
    return {"uri": uri, "format": "JSON", "filter": "", "includeFields": []}


_API_NAMES = {topic: topic.replace("/", "_").upper() for topic in TOPICS}
_TOPICS_BY_API_NAME = {name: topic for topic, name in _API_NAMES.items()}
