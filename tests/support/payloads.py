"""Payloads as Shopify documents them, cut down to some fields of each kind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_TIMES = {"created_at": "2021-12-31T19:00:00-05:00", "updated_at": "2021-12-31T19:00:00-05:00"}
_MONEY = {
    "shop_money": {"amount": "59.97", "currency_code": "USD"},
    "presentment_money": {"amount": "59.97", "currency_code": "USD"},
}
_LINE = {
    "id": 704912205188288500,
    "properties": None,
    "quantity": 3,
    "variant_id": 704912205188288500,
    "product_id": 788032119674292900,
    "sku": "example-shirt-s",
    "title": "Example T-Shirt - Small",
    "line_price": "59.97",
    "line_price_set": _MONEY,
}
_CART = {"id": "exampleCartId", "token": "exampleCartId", "line_items": [_LINE, _LINE], "note": None} | _TIMES
_ORDER = {
    "id": 820982911946154500,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "name": "#9999",
    "email": "jon@example.com",
    "cancelled_at": None,
    "current_total_price_set": _MONEY,
    "customer": {"id": 115310627314723950, "state": "disabled"},
    "line_items": [_LINE],
    **_TIMES,
}
_CUSTOMER = {
    "id": 706405506930370000,
    "admin_graphql_api_id": "gid://shopify/Customer/706405506930370084",
    "first_name": "Bob",
    **_TIMES,
}
_PRODUCT = {
    "id": 788032119674292900,
    "admin_graphql_api_id": "gid://shopify/Product/788032119674292922",
    "title": "Example T-Shirt",
    "variants": [{"id": 642667041472714000, "price": "19.99", "position": 1}],
    **_TIMES,
}
_SHOP = {"id": 548380009, "name": "Super Toys", "currency": "USD", "myshopify_domain": None, "iana_timezone": None}
_PERSON = {
    "shop_id": 954889,
    "shop_domain": "{shop}.myshopify.com",
    "customer": {"id": 191167, "email": "john@example.com", "phone": "555-625-1199"},
}
_ORDERS = [299938, 280263, 220458]

PAYLOADS: dict[str, Any] = {
    **dict.fromkeys(("orders/create", "orders/updated", "orders/paid", "orders/cancelled"), _ORDER),
    "orders/delete": {"id": 820982911946154500},
    "orders/edited": {"order_edit": {"id": 78912328793123780, "order_id": 820982911946154500, **_TIMES}},
    "refunds/create": {"id": 890088186047892400, "order_id": 820982911946154500, "note": "Damaged", **_TIMES},
    **dict.fromkeys(("customers/create", "customers/update", "customers/disable"), _CUSTOMER),
    "customers/delete": {"id": 706405506930370000, "tax_exemptions": []},
    "customers/merge": {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2",
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    },
    **dict.fromkeys(("products/create", "products/update"), _PRODUCT),
    "products/delete": {"id": 788032119674292900},
    **dict.fromkeys(("checkouts/create", "checkouts/update"), {"token": "123123123", "line_items": [_LINE]} | _TIMES),
    **dict.fromkeys(("carts/create", "carts/update"), _CART),
    **dict.fromkeys(("shop/update", "app/uninstalled"), _SHOP),
    "bulk_operations/finish": {"admin_graphql_api_id": "gid://shopify/BulkOperation/147595010", "status": "completed"},
    "customers/data_request": {**_PERSON, "orders_requested": _ORDERS, "data_request": {"id": 9999}},
    "customers/redact": {**_PERSON, "orders_to_redact": _ORDERS},
    "shop/redact": {"shop_id": 954889, "shop_domain": "{shop}.myshopify.com"},
}
"""By topic: all that the gateway follows, and one that it does not."""


def documented() -> dict[str, Any]:
    """The same in full, where XENO_SHARED names the folder that holds Shopify's documentation of them."""
    folder = Path(os.environ.get("XENO_SHARED", ""), "shopify", "webhooks", "metadata")
    files = {topic: folder / f"{topic}.json" for topic in PAYLOADS}
    whole = {topic: json.loads(file.read_text())["response"] for topic, file in files.items() if file.exists()}
    return PAYLOADS | whole


ORDER = {
    "id": 820982911946154500,  # as in Shopify's own example: the number has lost its last digits, the gid has not
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "updated_at": "2026-06-30T12:00:00+02:00",
    "email": "ada@example.com",
}

CART = {
    "id": "c1",
    "token": "c1",
    "line_items": [{"quantity": 1, "line_price": "5.00", "title": "Mug", "properties": {"for": "Ada Lovelace"}}],
    "note": "ada@example.com",
    "created_at": "2026-06-30T12:00:00.000Z",
    "updated_at": "2026-06-30T12:00:00.000Z",
}
