"""Webhooks as Shopify sends them: the signature, the headers, and what each topic says has changed.

A webhook is a hint: only the object that it names and the time of its change are kept. Of a cart the content is kept
too, because the API cannot read it.
Source: https://shopify.dev/docs/apps/build/webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from xeno_pipeline.errors import XenoError
from xeno_pipeline.shopify.carts import cart_of
from xeno_pipeline.shopify.ids import gid as gid_of
from xeno_pipeline.shopify.ids import prefix as gid_prefix
from xeno_pipeline.shopify.records import EARLIEST, LARGEST_ID, loads

SIGNATURE_HEADER = "x-shopify-hmac-sha256"
SHOP_HEADER = "x-shopify-shop-domain"

_TOPIC, _WEBHOOK_ID = "x-shopify-topic", "x-shopify-webhook-id"
_EVENT_ID, _TRIGGERED_AT = "x-shopify-event-id", "x-shopify-triggered-at"
_VISIBLE = re.compile(r"[!-~]{1,255}")

_CLOCKS_DIFFER = timedelta(hours=1)
"""The most by which Shopify's clock may be ahead of ours."""


class MalformedWebhookError(XenoError):
    """A delivery lacks a header, or is not what its topic promises."""


@dataclass(frozen=True)
class Delivery:
    """What the headers of a delivery say.

    Args:
        webhook_id: identifies the delivery; repeated deliveries have the same.
        event_id: identifies the event; several subscriptions may each deliver it.
        triggered_at: when it happened, by Shopify's clock; None if it is missing or impossible.
    """

    topic: str
    shop_domain: str
    webhook_id: str
    event_id: str | None
    triggered_at: datetime | None


@dataclass(frozen=True)
class Event:
    """What a delivery is about.

    Args:
        stream: the stream of the pipeline that it concerns.
        read_gid: the object to read. If `deleted_gid` is None too, all changes of the stream are to be read.
        deleted_gid: the object that was deleted, or merged into `read_gid`.
        changed_at: when `read_gid` changed, by its own `updated_at`; None if that is missing or impossible.
        object_created_at: when the order was created; None if the body does not say so.
        payload: content to keep as it came: a cart.
        shop_gid: the shop, if the body names it: its domain may be unknown.
        named_domain: the shop's domain, where the body names that.
    """

    delivery: Delivery
    stream: str
    read_gid: str | None = None
    deleted_gid: str | None = None
    changed_at: datetime | None = None
    object_created_at: datetime | None = None
    payload: Mapping[str, Any] | None = None
    shop_gid: str | None = None
    named_domain: str | None = None


def sign(body: bytes, secret: str) -> str:
    """The signature of a body: HMAC-SHA256 under the app's secret, in base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Whether a body was signed with one of the secrets, compared in constant time.

    Args:
        body: the bytes as received.
        signature: the value of the header.
        secrets: the app's secret, and during a rotation the previous one.
    """
    given = (signature or "").encode()
    return any(hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets)


def read_headers(headers: Mapping[str, str]) -> Delivery:
    """Read the headers of a delivery.

    Args:
        headers: by name in lower case.

    Raises:
        MalformedWebhookError: one that Shopify always sends is missing or malformed.
    """
    return Delivery(
        topic=_header(headers, _TOPIC),
        shop_domain=_header(headers, SHOP_HEADER).lower(),
        webhook_id=_header(headers, _WEBHOOK_ID),
        event_id=_header(headers, _EVENT_ID) if _EVENT_ID in headers else None,
        triggered_at=_instant(headers.get(_TRIGGERED_AT)),
    )


_OTHER_CHANGES = frozenset(
    (
        *("orders/cancelled", "orders/fulfilled", "orders/paid", "orders/partially_fulfilled"),
        *("customers/disable", "customers/enable"),
    )
)
"""Topics that are not subscribed here, because an update comes with each. An app's own configuration may add them."""


def event_of(delivery: Delivery, body: bytes) -> Event | None:
    """What a delivery is about; None if nothing follows from it: an unknown topic, a failed merge.

    Raises:
        MalformedWebhookError: the body is not what the topic promises.
    """
    payload = json_object(body)
    subject, _, action = delivery.topic.partition("/")
    if delivery.topic == "customers/merge":
        return _merge(delivery, payload)
    if delivery.topic == "refunds/create":  # a refund comes with its order
        gid = _gid("Order", payload.get("order_id"))
        return Event(delivery, "orders", read_gid=gid, changed_at=_instant(payload.get("created_at")))
    if delivery.topic == "orders/edited":
        edit = payload.get("order_edit")
        return Event(
            delivery, "orders", read_gid=_gid("Order", edit.get("order_id") if isinstance(edit, dict) else None)
        )
    if subject == "checkouts" and action in ("create", "update"):
        return Event(delivery, "abandoned_checkouts")  # its payload has a token where others have an id
    if subject == "carts" and action in ("create", "update"):
        return Event(delivery, "carts", payload=_cart(payload))
    if delivery.topic in ("shop/update", "app/uninstalled"):
        named_domain = _domain(payload.get("myshopify_domain"))
        return Event(delivery, subject, shop_gid=_gid("Shop", payload.get("id")), named_domain=named_domain)
    # Nothing follows from bulk_operations/finish: the process that started an operation polls Shopify. To be woken by
    # this event instead, it would have to poll the database.
    kind = {"orders": "Order", "customers": "Customer", "products": "Product"}.get(subject)
    if kind is None:
        return None
    if action == "delete":
        return Event(delivery, subject, deleted_gid=_object_gid(kind, payload))
    if action in ("create", "update", "updated") or delivery.topic in _OTHER_CHANGES:
        return Event(
            delivery,
            subject,
            read_gid=_object_gid(kind, payload),
            changed_at=_instant(payload.get("updated_at")),
            object_created_at=_creation(payload) if kind == "Order" else None,
        )
    return None


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; see `records.loads`.

    Raises:
        MalformedWebhookError: it holds no JSON object.
    """
    try:
        payload = loads(body)
    except ValueError:
        raise MalformedWebhookError("The body is not JSON.") from None
    if not isinstance(payload, dict):
        raise MalformedWebhookError("The body is not a JSON object.")
    return payload


def _creation(payload: Mapping[str, Any]) -> datetime | None:
    try:
        return _instant(payload.get("created_at"))
    except MalformedWebhookError:  # the event is useful without it
        return None


def _domain(named: object) -> str | None:
    if not isinstance(named, str):
        return None
    if not _VISIBLE.fullmatch(named):
        raise MalformedWebhookError("The body names no domain.")
    return named.lower()


def _cart(payload: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return cart_of(payload)
    except ValueError as error:
        raise MalformedWebhookError(str(error)) from None


def _merge(delivery: Delivery, payload: Mapping[str, Any]) -> Event | None:
    if payload.get("status") != "completed":
        return None
    kept, deleted = (_checked("Customer", payload.get(f"admin_graphql_api_customer_{end}_id")) for end in _MERGED)
    return Event(delivery, "customers", read_gid=kept, deleted_gid=deleted)


_MERGED = ("kept", "deleted")


def _object_gid(kind: str, payload: Mapping[str, Any]) -> str:
    given = payload.get("admin_graphql_api_id")
    return _gid(kind, payload.get("id")) if given is None else _checked(kind, given)


def _checked(kind: str, gid: object) -> str:
    prefix = gid_prefix(kind)
    if not isinstance(gid, str) or not gid.startswith(prefix):
        raise MalformedWebhookError(f"The body names no {kind}.")
    number = gid.removeprefix(prefix)
    return _gid(kind, int(number) if re.fullmatch(r"[0-9]{1,19}", number) else None)


def _gid(kind: str, number: object) -> str:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= LARGEST_ID:
        raise MalformedWebhookError(f"The body names no {kind}.")
    return gid_of(kind, number)


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not _VISIBLE.fullmatch(value):
        raise MalformedWebhookError(f"The header {name} is missing or malformed.")
    return value


def _instant(text: object) -> datetime | None:
    """An instant by Shopify's clock; None if none is given, or an impossible one.

    An event of the year 9999 would stay due forever, and in most time zones Python cannot represent its time.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
        if instant is None or instant.tzinfo is None:
            raise MalformedWebhookError("A time in the body is malformed.")
        instant = instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedWebhookError("A time in the body is malformed.") from None
    return instant if EARLIEST <= instant <= datetime.now(UTC) + _CLOCKS_DIFFER else None
