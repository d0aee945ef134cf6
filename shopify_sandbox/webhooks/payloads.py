"""Which webhooks a change fires, and what they say: Shopify's REST shapes, of which only a part is filled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from shopify_sandbox.controls.changes.carts import carts_of
from shopify_sandbox.controls.changes.subject import Touched
from shopify_sandbox.model.documents import gid
from shopify_sandbox.model.objects import Checkout, Customer, Product
from shopify_sandbox.model.order import Order
from shopify_sandbox.state.store import Store

Webhook = tuple[str, dict[str, Any]]
"""A topic and its payload."""

_KINDS = {"orders": "Order", "customers": "Customer", "products": "Product", "checkouts": "AbandonedCheckout"}
_CREATES = {
    "place_order": "orders",
    "complete_checkout": "orders",
    "create_customer": "customers",
    "create_product": "products",
    "start_checkout": "checkouts",
    "order_cart": "orders",
}
"""The kind of object that a change creates; it may touch others."""


def webhooks_of(store: Store, action: str, touched: Touched) -> Iterator[Webhook]:
    """The webhooks that a change fires.

    Args:
        store: The store as it is now.
        action: The change.
        touched: The ids it touched, by kind.
    """
    if action == "merge_customers":
        kept, deleted = touched["customers"]
        yield "customers/merge", _merge(kept, deleted)
        yield "customers/update", _content(store, "customers", kept)
        return
    if action == "update_shop":
        yield "shop/update", of_shop(store)
    for number in touched.get("carts", ()):
        yield f"carts/{'create' if action == 'fill_cart' else 'update'}", carts_of(store)[str(number)]
    for name, numbers in touched.items():
        for number in numbers if name in _KINDS else ():
            row = store.tables[_KINDS[name]].row(number)
            if row is None:
                yield f"{name}/delete", {"id": number}
                continue
            content = store.object(_KINDS[name], row)
            is_new = _CREATES.get(action) == name or (name == "customers" and content.created_at == content.updated_at)
            update = "updated" if name == "orders" else "update"
            yield f"{name}/{'create' if is_new else update}", _content(store, name, number)
    if action == "refund":
        (number,) = touched["orders"]
        row = store.tables["Order"].row(number)
        assert row is not None
        yield "refunds/create", _refund(store, store.object("Order", row))


def of_shop(store: Store) -> dict[str, Any]:
    """What a webhook that is about the shop says."""
    shop = store.shop_document()
    return {"id": store.shop_id, "name": shop["name"], "myshopify_domain": shop["myshopifyDomain"]}


def _content(store: Store, name: str, number: int) -> dict[str, Any]:
    kind = _KINDS[name]
    row = store.tables[kind].row(number)
    assert row is not None
    content: Order | Customer | Product | Checkout = store.object(kind, row)
    payload: dict[str, Any] = {
        "created_at": _written(store, content.created_at),
        "updated_at": _written(store, content.updated_at),
    }
    if isinstance(content, Checkout):
        return payload | {"token": content.token, "currency": content.currency}
    payload |= {"id": number, "admin_graphql_api_id": gid(kind, number)}
    if isinstance(content, Order):
        customer = {"id": content.customer_id} if content.customer_id else None
        payload |= {"name": content.name, "currency": content.currency, "customer": customer, "test": content.test}
    elif isinstance(content, Customer):
        payload |= {"first_name": content.first_name, "last_name": content.last_name, "email": content.email}
    else:
        payload |= {"title": content.title, "handle": content.handle, "vendor": content.vendor}
    return payload


def _merge(kept: int, deleted: int) -> dict[str, Any]:
    return {
        "admin_graphql_api_customer_kept_id": gid("Customer", kept),
        "admin_graphql_api_customer_deleted_id": gid("Customer", deleted),
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def _refund(store: Store, order: Order) -> dict[str, Any]:
    refund = order.refunds[-1]
    number = order.child_base + refund.number
    return {
        "id": number,
        "admin_graphql_api_id": gid("Refund", number),
        "order_id": order.id,
        "created_at": _written(store, refund.created_at or refund.processed_at),
        "processed_at": _written(store, refund.processed_at),
    }


def _written(store: Store, instant: int) -> str:
    """An instant as webhooks write it: in the shop's time zone."""
    return datetime.fromtimestamp(instant, store.spec.zone).isoformat()
