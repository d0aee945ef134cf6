"""Products and orders as Shopify's answers hold them, with as much as a test says and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Node = dict[str, Any]

OPENED = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> str:
    """An instant, in minutes since the store opened."""
    return (OPENED + timedelta(minutes=minute)).isoformat()


def money(amount: str) -> Node:
    return {"shopMoney": {"amount": amount, "currencyCode": "EUR"}}


def product(number: int, updated: int, variants: Iterable[int] = (), **fields: Any) -> Node:
    """A product as it was at a minute, with the variants of these numbers."""
    return {
        "__typename": "Product",
        "id": f"gid://shopify/Product/{number}",
        "title": f"as of {updated}",
        **dict.fromkeys(("handle", "vendor", "productType", "status", "publishedAt")),
        "tags": [],
        "createdAt": at(0),
        "updatedAt": at(updated),
        "variants": [_variant(variant, updated) for variant in variants],
        **fields,
    }


def _variant(number: int, updated: int) -> Node:
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{number}",
        "title": f"as of {updated}",
        **dict.fromkeys(("sku", "barcode", "position", "compareAtPrice", "createdAt", "updatedAt")),
        "price": "1.00",
    }


def order(
    number: int,
    updated: int,
    lines: Iterable[int] = (),
    ledger: Mapping[str, Sequence[str]] | None = None,
    refunds: Iterable[int] = (),
    **fields: Any,
) -> Node:
    """An order as it was at a minute: its lines, the sales of each of its agreements, its refunds."""
    unset: tuple[str, ...] = (
        "customer",
        "shippingAddress",
        "billingAddress",
        "totalPriceSet",
        "currentTotalPriceSet",
        "cancelledAt",
    )
    unset += (
        "cancelReason",
        "displayFinancialStatus",
        "displayFulfillmentStatus",
        "sourceName",
        "checkoutToken",
        "cartToken",
    )
    return {
        "__typename": "Order",
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        **dict.fromkeys(unset),
        "createdAt": at(0),
        "processedAt": at(0),
        "updatedAt": at(updated),
        "test": False,
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "EUR",
        "tags": [],
        "discountCodes": [],
        "refunds": [_refund(refund) for refund in refunds],
        "transactions": [],
        "fulfillments": [],
        "lineItems": [_line(line, updated) for line in lines],
        "agreements": [_agreement(name, sales) for name, sales in (ledger or {}).items()],
        **fields,
    }


def _refund(number: int) -> Node:
    gid = f"gid://shopify/Refund/{number}"
    return {"id": gid, "createdAt": None, "processedAt": None, "totalRefundedSet": money("1.00")}


def _line(number: int, updated: int) -> Node:
    return {
        "__typename": "LineItem",
        "id": f"gid://shopify/LineItem/{number}",
        **dict.fromkeys(("product", "variant", "sku")),
        "title": f"as of {updated}",
        "quantity": 1,
        "currentQuantity": 1,
        "originalUnitPriceSet": money("1.00"),
        "isGiftCard": False,
    }


def _agreement(name: str, sales: Sequence[str]) -> Node:
    return {
        "__typename": "OrderAgreement",
        "id": f"gid://shopify/SalesAgreement/{name}",
        "reason": "ORDER",
        "happenedAt": at(0),
        "sales": [_sale(sale) for sale in sales],
    }


def _sale(name: str) -> Node:
    return {
        "__typename": "ProductSale",
        "id": f"gid://shopify/Sale/{name}",
        "actionType": "ORDER",
        "lineType": "PRODUCT",
        "quantity": 1,
        "totalAmount": money("1.00"),
        "totalDiscountAmountBeforeTaxes": money("0.0"),
        "totalTaxAmount": money("0.0"),
    }
