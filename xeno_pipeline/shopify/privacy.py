"""The mandatory privacy webhooks: what each requests, by ids alone. The email and phone in them are not kept.

Source: https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xeno_pipeline.shopify.records import LARGEST_ID
from xeno_pipeline.shopify.webhooks import Delivery, MalformedWebhookError, json_object

DATA_REQUEST, CUSTOMER_REDACT, SHOP_REDACT = "customers/data_request", "customers/redact", "shop/redact"
PRIVACY_TOPICS = (DATA_REQUEST, CUSTOMER_REDACT, SHOP_REDACT)

_MOST_ORDERS = 100_000


@dataclass(frozen=True)
class PrivacyDelivery:
    """What a privacy webhook requests.

    Args:
        delivery: its headers; the topic is the kind of request.
        customer_id: None for `shop/redact`.
        order_ids: orders of the person, which need not name the customer.
        data_request_id: Shopify's number for a `customers/data_request`, else None.
    """

    delivery: Delivery
    shop_id: int
    customer_id: int | None = None
    order_ids: Sequence[int] = ()
    data_request_id: int | None = None


def privacy_delivery_of(delivery: Delivery, body: bytes) -> PrivacyDelivery:
    """What a delivery of one of PRIVACY_TOPICS requests.

    Raises:
        MalformedWebhookError: the body is not what the topic promises. The message quotes no values.
    """
    payload = json_object(body)
    shop_id = _id(payload.get("shop_id"), "shop_id")
    if delivery.topic == SHOP_REDACT:
        return PrivacyDelivery(delivery, shop_id)
    customer_id = _id(_part(payload, "customer").get("id"), "customer")
    if delivery.topic == CUSTOMER_REDACT:
        return PrivacyDelivery(delivery, shop_id, customer_id, _ids(payload, "orders_to_redact"))
    data_request_id = _id(_part(payload, "data_request").get("id"), "data_request")
    return PrivacyDelivery(delivery, shop_id, customer_id, _ids(payload, "orders_requested"), data_request_id)


def _part(payload: dict[str, object], name: str) -> dict[str, object]:
    part = payload.get(name)
    return part if isinstance(part, dict) else {}


def _ids(payload: dict[str, object], name: str) -> Sequence[int]:
    ids = payload.get(name) or []
    if not isinstance(ids, list) or len(ids) > _MOST_ORDERS:
        raise MalformedWebhookError(f"The body's {name} is not a list of ids.")
    return sorted({_id(id_, name) for id_ in ids})


def _id(number: object, name: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= LARGEST_ID:
        raise MalformedWebhookError(f"The body's {name} is missing or not an id.")
    return number
