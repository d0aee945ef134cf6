"""The one mapping from Shopify's nodes to raw rows, whatever way they came.

A node that came by bulk names its parent in `__parentId`; `flatten` gives a node that came in a page, with its
children inside it, the same form. So the same object has the same row on every way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from xeno_pipeline.shopify.carts import cart_id
from xeno_pipeline.warehouse import raw_tables as raw
from xeno_pipeline.warehouse.copy_format import NULL, boolean, json, number, text, texts
from xeno_pipeline.warehouse.copying import Row
from xeno_pipeline.warehouse.raw_tables import RawTable
from xeno_pipeline.warehouse.suppression import Suppressed

Node = dict[str, Any]

_CHILD_CONNECTIONS = ("lineItems", "agreements", "sales", "variants")


class UnknownNodeError(ValueError):
    """A node is of a kind that no table takes, or lacks what its kind must have."""


def flatten(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes with children inside them, as single nodes that name their parents: parents first."""
    for node in nodes:
        children = [(child, node["id"]) for field in _CHILD_CONNECTIONS if field in node for child in node.pop(field)]
        yield node
        for child, parent in children:
            child["__parentId"] = parent
        yield from flatten(child for child, _ in children)


def rows(nodes: Iterable[Node], tenant_id: str, query_version: int, suppressed: Suppressed) -> Iterator[Row]:
    """The raw rows of single nodes, in the form that COPY takes.

    Args:
        nodes: single nodes; they are used up.
        tenant_id: whose they are.
        query_version: what selection read them.
        suppressed: of whom nothing personal is to be kept.

    Raises:
        UnknownNodeError: a node is not what the queries select.
    """
    head, version = f"{tenant_id}\t", f"\t{query_version}\t"
    for node in nodes:
        try:
            name = node["__typename"]
            mapper = _MAPPERS.get(name) or _mapper_of(name)
            if suppressed and name in _TELLS_OF_A_PERSON:
                _suppress(node, _TELLS_OF_A_PERSON[name], suppressed)
            for table, id_, columns, payload in mapper(node):
                typed = "\t".join(columns)
                yield table, f"{head}{id_}\t{typed}{version}".encode() + json(payload)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            kind = node.get("__typename", "of no kind") if isinstance(node, dict) else "of no kind"
            what = error if isinstance(error, KeyError) else f"a field ({type(error).__name__})"  # it may quote a value
            raise UnknownNodeError(f"a node ({kind}) lacks or misshapes {what}") from error


Mapped = tuple[str, str, tuple[str, ...], Node]
"""A table, the row's id, its columns, and what to keep as its payload."""


def _shop(node: Node) -> Iterator[Mapped]:
    columns = (
        text(node.pop("read_at")),
        text(node["name"]),
        text(node["myshopifyDomain"]),
        text(node["currencyCode"]),
        text(node["ianaTimezone"]),
        text(node["plan"]["publicDisplayName"]),
        texts(node["accessScopes"]),
        text(node["createdAt"]),
    )
    yield raw.SHOPS.name, _number(node["id"]), columns, node


def _customer(node: Node) -> Iterator[Mapped]:
    email, phone = node["defaultEmailAddress"], node["defaultPhoneNumber"]
    columns = (
        text(node["updatedAt"]),
        text(node["createdAt"]),
        text(email["emailAddress"]) if email else NULL,
        text(phone["phoneNumber"]) if phone else NULL,
        text(node["firstName"]),
        text(node["lastName"]),
        _country(node["defaultAddress"]),
        text(node["locale"]),
        text(node["state"]),
        texts(node["tags"]),
        number(node["numberOfOrders"]),
        text((node["statistics"] or {}).get("rfmGroup")),
    )
    yield raw.CUSTOMERS.name, _number(node["id"]), columns, node


def _order(node: Node) -> Iterator[Mapped]:
    id_ = _number(node["id"])
    country = _country(node["shippingAddress"])
    columns = (
        text(node["updatedAt"]),
        text(node["name"]),
        _reference(node["customer"]),
        text(node["createdAt"]),
        text(node["processedAt"]),
        text(node["cancelledAt"]),
        text(node["cancelReason"]),
        boolean(node["test"]),
        text(node["currencyCode"]),
        text(node["presentmentCurrencyCode"]),
        text(node["displayFinancialStatus"]),
        text(node["displayFulfillmentStatus"]),
        text(node["sourceName"]),
        _country(node["billingAddress"]) if country == NULL else country,
        texts(node["tags"]),
        texts(node["discountCodes"]),
        text(node["checkoutToken"]),
        text(cart_id(node["cartToken"])),
        _amount(node["totalPriceSet"]),
        _amount(node["currentTotalPriceSet"]),
    )
    for refund in node.pop("refunds"):
        yield _refund(refund, id_)
    for transaction in node.pop("transactions"):
        yield _transaction(transaction, id_)
    for fulfillment in node.pop("fulfillments"):
        yield _fulfillment(fulfillment, id_)
    yield raw.ORDERS.name, id_, columns, node


def _refund(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        text(node["createdAt"]),
        text(node["processedAt"]),
        _amount(node["totalRefundedSet"]),
    )
    return raw.REFUNDS.name, _number(node["id"]), columns, node


def _transaction(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        _reference(node["parentTransaction"]),
        text(node["kind"]),
        text(node["status"]),
        text(node["gateway"]),
        boolean(node["test"]),
        text(node["createdAt"]),
        text(node["processedAt"]),
        _amount(node["amountSet"]),
    )
    return raw.ORDER_TRANSACTIONS.name, _number(node["id"]), columns, node


def _fulfillment(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        text(node["status"]),
        text(node["displayStatus"]),
        text(node["createdAt"]),
        text(node["updatedAt"]),
        text(node["deliveredAt"]),
        number(node["totalQuantity"]),
    )
    return raw.FULFILLMENTS.name, _number(node["id"]), columns, node


def _line_item(node: Node) -> Iterator[Mapped]:
    columns = (
        _number(node.pop("__parentId")),
        _reference(node["product"]),
        _reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        number(node["quantity"]),
        number(node["currentQuantity"]),
        _amount(node["originalUnitPriceSet"]),
        boolean(node["isGiftCard"]),
    )
    yield raw.ORDER_LINE_ITEMS.name, _number(node["id"]), columns, node


def _agreement(node: Node) -> Iterator[Mapped]:
    columns = (
        _number(node.pop("__parentId")),
        text(node["reason"]),
        text(node["happenedAt"]),
        _reference(node.get("refund")),
    )
    yield raw.ORDER_AGREEMENTS.name, text(node["id"]), columns, node


def _sale(node: Node) -> Iterator[Mapped]:
    columns = (
        text(node.pop("__parentId")),
        _reference(node.get("lineItem")),
        text(node["actionType"]),
        text(node["lineType"]),
        number(node["quantity"]),
        _amount(node["totalAmount"]),
        _amount(node["totalDiscountAmountBeforeTaxes"]),
        _amount(node["totalTaxAmount"]),
    )
    yield raw.ORDER_SALES.name, text(node["id"]), columns, node


def _product(node: Node) -> Iterator[Mapped]:
    columns = (
        text(node["updatedAt"]),
        text(node["title"]),
        text(node["handle"]),
        text(node["vendor"]),
        text(node["productType"]),
        text(node["status"]),
        texts(node["tags"]),
        text(node["createdAt"]),
        text(node["publishedAt"]),
    )
    yield raw.PRODUCTS.name, _number(node["id"]), columns, node


def _variant(node: Node) -> Iterator[Mapped]:
    columns = (
        _number(node.pop("__parentId")),
        text(node["title"]),
        text(node["sku"]),
        text(node["barcode"]),
        number(node["position"]),
        text(node["price"]),
        text(node["compareAtPrice"]),
        text(node["createdAt"]),
        text(node["updatedAt"]),
    )
    yield raw.PRODUCT_VARIANTS.name, _number(node["id"]), columns, node


def _abandoned_checkout(node: Node) -> Iterator[Mapped]:
    url = node.pop("abandonedCheckoutUrl")  # it opens the cart to whoever has it: only its token is kept
    columns = (
        text(node["updatedAt"]),
        text(node["name"]),
        _reference(node["customer"]),
        text(node["createdAt"]),
        text(node["completedAt"]),
        text(_checkout_token(url)),
        texts(node["discountCodes"]),
        _amount(node["totalPriceSet"]),
    )
    yield raw.ABANDONED_CHECKOUTS.name, _number(node["id"]), columns, node


def _abandoned_checkout_line_item(node: Node) -> Iterator[Mapped]:
    columns = (
        _number(node.pop("__parentId")),
        _reference(node["product"]),
        _reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        number(node["quantity"]),
        _amount(node["originalTotalPriceSet"]),
    )
    yield raw.ABANDONED_CHECKOUT_LINE_ITEMS.name, _number(node["id"]), columns, node


def _cart(node: Node) -> Iterator[Mapped]:
    columns = (
        text(node["updated_at"]),
        text(node["token"]),
        text(node["created_at"]),
    )
    yield raw.CARTS.name, str(_cart_number(node["token"])), columns, node


_MAPPERS: dict[str, Callable[[Node], Iterator[Mapped]]] = {
    "Shop": _shop,
    "Customer": _customer,
    "Order": _order,
    "LineItem": _line_item,
    "Product": _product,
    "ProductVariant": _variant,
    "AbandonedCheckout": _abandoned_checkout,
    "AbandonedCheckoutLineItem": _abandoned_checkout_line_item,
    "Cart": _cart,
}


def _mapper_of(typename: str) -> Callable[[Node], Iterator[Mapped]]:
    """The mapper of the open families: Shopify adds kinds of agreements and sales now and then."""
    if typename.endswith("Agreement"):
        return _MAPPERS.setdefault(typename, _agreement)
    if typename.endswith("Sale"):
        return _MAPPERS.setdefault(typename, _sale)
    raise UnknownNodeError(f"no table takes a {typename}")


_TELLS_OF_A_PERSON: dict[str, RawTable] = {
    "Customer": raw.CUSTOMERS,
    "Order": raw.ORDERS,
    "AbandonedCheckout": raw.ABANDONED_CHECKOUTS,
}


def _suppress(node: Node, table: RawTable, suppressed: Suppressed) -> None:
    """Empty what tells of a person, where the node is of one who was redacted."""
    customer = node if table is raw.CUSTOMERS else node["customer"]
    owner = _number(customer["id"]) if customer else None
    if suppressed.holds(table, _number(node["id"])) or (owner and suppressed.holds(raw.CUSTOMERS, owner)):
        node.update(dict.fromkeys(table.personal.fields))


def _number(gid: str) -> str:
    number = gid.rpartition("/")[2]
    if number.isdecimal():
        return number
    number = number.partition("?")[0]
    if not number.isdecimal():
        raise ValueError(gid)
    return number


def _reference(node: Node | None) -> str:
    return _number(node["id"]) if node else NULL


def _amount(money_bag: Node | None) -> str:
    """The amount in the shop's currency."""
    return text(money_bag["shopMoney"]["amount"]) if money_bag else NULL


def _country(address: Node | None) -> str:
    return text(address["countryCodeV2"]) if address else NULL


def _cart_number(token: str) -> int:
    """A number for what Shopify names by a text: 63 bits of its digest, so that two carts of a shop never meet."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big") >> 1


def _checkout_token(url: str | None) -> str | None:
    """The token in a checkout's recovery URL: the path's last segment before `/recover`."""
    path = (url or "").partition("?")[0].rstrip("/")
    before, recover, _ = path.rpartition("/recover")
    token = (before if recover else path).rpartition("/")[2]
    return token or None
