"""Rows of orders and of what belongs to them: line items, refunds, transactions, fulfillments, and the sales ledger."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import NULL, boolean, instant, integer, text, texts
from xeno_pipeline.raw.mapping.fields import (
    Fields,
    Mapped,
    Node,
    clock,
    country_code,
    gid_number,
    object_id,
    records_in,
    reference,
    remainder,
    required,
    shop_amount,
    text_gid,
)
from xeno_pipeline.shopify.records import cart_id

_ORDER: Fields = frozenset(
    (
        *("__typename", "id", "updatedAt", "name", "customer", "createdAt", "processedAt", "cancelledAt"),
        *("cancelReason", "test", "currencyCode", "presentmentCurrencyCode", "displayFinancialStatus"),
        *("displayFulfillmentStatus", "sourceName", "checkoutToken", "refunds", "transactions", "fulfillments"),
    )
)
"""Fields that columns hold; those with personal data stay, since a redaction looks for them in the payload."""

_PERSONAL: Fields = frozenset(raw.ORDERS.pii.fields)
_ORDER_AMOUNTS: Fields = frozenset(("totalPriceSet", "currentTotalPriceSet"))
_REFUND: Fields = frozenset(("id", "createdAt", "processedAt"))
_TRANSACTION: Fields = frozenset(
    ("id", "parentTransaction", "kind", "status", "gateway", "test", "createdAt", "processedAt")
)
_FULFILLMENT: Fields = frozenset(
    ("id", "status", "displayStatus", "createdAt", "updatedAt", "deliveredAt", "totalQuantity")
)
_LINE_ITEM: Fields = frozenset(
    (
        *("__typename", "__parentId", "id", "product", "variant", "sku", "title", "quantity", "currentQuantity"),
        "isGiftCard",
    )
)
_AGREEMENT: Fields = frozenset(("__typename", "__parentId", "id", "reason", "happenedAt", "refund"))
_SALE: Fields = frozenset(("__typename", "__parentId", "id", "lineItem", "actionType", "lineType", "quantity"))
_SALE_AMOUNTS: Fields = frozenset(("totalAmount", "totalDiscountAmountBeforeTaxes", "totalTaxAmount"))


def map_order(node: Node) -> Iterator[Mapped]:
    """The rows of an order and of the children that come inside it."""
    id_ = object_id(node, "Order")
    country = country_code(node["shippingAddress"])
    columns = (
        clock(node["updatedAt"]),
        text(node["name"]),
        reference(node["customer"]),
        clock(node["createdAt"]),
        required(instant(node["processedAt"])),
        instant(node["cancelledAt"]),
        text(node["cancelReason"]),
        required(boolean(node["test"])),
        required(text(node["currencyCode"])),
        text(node["presentmentCurrencyCode"]),
        text(node["displayFinancialStatus"]),
        text(node["displayFulfillmentStatus"]),
        text(node["sourceName"]),
        country_code(node["billingAddress"]) if country == NULL else country,
        texts(node["tags"]),
        texts(node["discountCodes"]),
        text(node["checkoutToken"]),
        text(_cart_id(node["cartToken"])),
        shop_amount(node["totalPriceSet"]),
        shop_amount(node["currentTotalPriceSet"]),
    )
    for refund in records_in(node["refunds"]):
        yield _map_refund(refund, id_)
    for transaction in records_in(node["transactions"]):
        yield _map_transaction(transaction, id_)
    for fulfillment in records_in(node["fulfillments"]):
        yield _map_fulfillment(fulfillment, id_)
    yield raw.ORDERS.name, id_, columns, remainder(node, _ORDER, _ORDER_AMOUNTS, _PERSONAL)


def _map_refund(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        instant(node["createdAt"]),
        instant(node["processedAt"]),
        shop_amount(node["totalRefundedSet"]),
    )
    id_ = gid_number(node["id"], "Refund")
    return raw.REFUNDS.name, id_, columns, remainder(node, _REFUND, frozenset(("totalRefundedSet",)))


def _map_transaction(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        reference(node["parentTransaction"]),
        text(node["kind"]),
        text(node["status"]),
        text(node["gateway"]),
        boolean(node["test"]),
        instant(node["createdAt"]),
        instant(node["processedAt"]),
        shop_amount(node["amountSet"]),
    )
    id_ = gid_number(node["id"], "OrderTransaction")
    return raw.ORDER_TRANSACTIONS.name, id_, columns, remainder(node, _TRANSACTION, frozenset(("amountSet",)))


def _map_fulfillment(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        text(node["status"]),
        text(node["displayStatus"]),
        instant(node["createdAt"]),
        instant(node["updatedAt"]),
        instant(node["deliveredAt"]),
        integer(node["totalQuantity"]),
    )
    id_ = gid_number(node["id"], "Fulfillment")
    return raw.FULFILLMENTS.name, id_, columns, remainder(node, _FULFILLMENT)


def map_line_item(node: Node) -> Iterator[Mapped]:
    """The row of a line item."""
    columns = (
        gid_number(node["__parentId"], "Order"),
        reference(node["product"]),
        reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        integer(node["quantity"]),
        integer(node["currentQuantity"]),
        shop_amount(node["originalUnitPriceSet"]),
        boolean(node["isGiftCard"]),
    )
    id_ = gid_number(node["id"], "LineItem")
    yield raw.ORDER_LINE_ITEMS.name, id_, columns, remainder(node, _LINE_ITEM, frozenset(("originalUnitPriceSet",)))


def map_agreement(node: Node) -> Iterator[Mapped]:
    """The row of a sales agreement."""
    columns = (
        gid_number(node["__parentId"], "Order"),
        text(node["reason"]),
        required(instant(node["happenedAt"])),
        reference(node.get("refund")),
    )
    yield raw.ORDER_AGREEMENTS.name, text_gid(node["id"]), columns, remainder(node, _AGREEMENT)


def map_sale(node: Node) -> Iterator[Mapped]:
    """The row of a sale."""
    columns = (
        text_gid(node["__parentId"]),
        reference(node.get("lineItem")),
        text(node["actionType"]),
        text(node["lineType"]),
        integer(node["quantity"]),
        shop_amount(node["totalAmount"]),
        shop_amount(node["totalDiscountAmountBeforeTaxes"]),
        shop_amount(node["totalTaxAmount"]),
    )
    yield raw.ORDER_SALES.name, text_gid(node["id"]), columns, remainder(node, _SALE, _SALE_AMOUNTS)


def _cart_id(token: object) -> str | None:
    text(token)
    return cart_id(token)
