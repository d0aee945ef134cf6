"""Rows of orders and of what belongs to them: line items, refunds, transactions, fulfillments, and the sales ledger."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import NULL, boolean, instant, integer, text, texts
from xeno_pipeline.raw.mapping.fields import (
    Mapped,
    Node,
    clock,
    country_code,
    gid_number,
    object_id,
    records_in,
    reference,
    required,
    shop_amount,
    text_gid,
)
from xeno_pipeline.shopify.carts import cart_id


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
    del node["refunds"], node["transactions"], node["fulfillments"]
    yield raw.ORDERS.name, id_, columns, node


def _map_refund(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        instant(node["createdAt"]),
        instant(node["processedAt"]),
        shop_amount(node["totalRefundedSet"]),
    )
    return raw.REFUNDS.name, gid_number(node["id"], "Refund"), columns, node


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
    return raw.ORDER_TRANSACTIONS.name, gid_number(node["id"], "OrderTransaction"), columns, node


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
    return raw.FULFILLMENTS.name, gid_number(node["id"], "Fulfillment"), columns, node


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
    del node["__parentId"]
    yield raw.ORDER_LINE_ITEMS.name, id_, columns, node


def map_agreement(node: Node) -> Iterator[Mapped]:
    """The row of a sales agreement."""
    columns = (
        gid_number(node["__parentId"], "Order"),
        text(node["reason"]),
        required(instant(node["happenedAt"])),
        reference(node.get("refund")),
    )
    id_ = text_gid(node["id"])
    del node["__parentId"]
    yield raw.ORDER_AGREEMENTS.name, id_, columns, node


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
    id_ = text_gid(node["id"])
    del node["__parentId"]
    yield raw.ORDER_SALES.name, id_, columns, node


def _cart_id(token: object) -> str | None:
    text(token)
    return cart_id(token)
