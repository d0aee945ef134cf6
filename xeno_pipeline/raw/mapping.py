"""The one mapping from Shopify's nodes to raw rows, whatever way they came.

A node that came by bulk names its parent in `__parentId`; one that came in a page has its children inside it, and is
brought to the same form. So the same object has the same row on every way. A node that does not fit is refused, with
the reason; it stops no other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy import Row
from xeno_pipeline.raw.copy_format import (
    NULL,
    InvalidValueError,
    amount,
    bigint,
    boolean,
    instant,
    integer,
    json,
    text,
    texts,
)
from xeno_pipeline.raw.load import RowSource
from xeno_pipeline.raw.set_aside import Refused
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import KINDS, RawTable
from xeno_pipeline.shopify import records
from xeno_pipeline.shopify.carts import cart_id
from xeno_pipeline.shopify.records import number_of

Node = dict[str, Any]

Refuse = Callable[[Refused], None]
"""Told of each node that does not fit."""

_CHILD_CONNECTIONS = ("lineItems", "agreements", "sales", "variants")
_LONGEST_GID = 255
_GID = "gid://shopify/"

_MISFITS = (KeyError, TypeError, AttributeError, ValueError)
"""What a mapper raises where a node is not what the queries select."""


@dataclass(frozen=True)
class RowMapping:
    """Makes the rows of one kind of object, and of what belongs to it.

    Args:
        root: the objects' table.
        tenant_id: whose they are.
        query_version: what selection read them.
    """

    root: RawTable
    tenant_id: str
    query_version: int

    def of_lines(self, nodes: Iterable[Node], suppressed: Suppressed, refuse: Refuse) -> Iterator[Row]:
        """The rows of single nodes, as they came by bulk; they are used up."""
        head, version = f"{self.tenant_id}\t", f"\t{self.query_version}\t"
        mappers, is_open = _MAPPERS[self.root.name], self.root is raw.ORDERS
        for node in nodes:
            try:
                name = node["__typename"]
                mapper = mappers.get(name) or _mapper_of(name, is_open)
                if suppressed and name in _TELLS_OF_A_PERSON:
                    _suppress(node, _TELLS_OF_A_PERSON[name], suppressed)
                for table, id_, columns, payload in mapper(node):
                    typed = "\t".join(columns)
                    yield table, f"{head}{id_}\t{typed}{version}".encode() + json(payload)
            except _MISFITS as error:
                refuse(self._refused_line(node, error))

    def of_objects(self, nodes: Sequence[Node]) -> RowSource:
        """What makes the rows of whole objects, which hold their children, however often it is asked.

        An object of which one node does not fit is refused as a whole.
        """
        made: dict[int, tuple[Suppressed, list[Row], list[Refused]]] = {}

        def make(suppressed: Suppressed, refuse: Refuse) -> Iterable[Row]:
            if not made:  # nodes are used up by mapping them
                found: list[Row] = []
                refused: list[Refused] = []
                for node in nodes:
                    found += self._whole(node, suppressed, refused)
                made[0] = suppressed, found, refused
            of, found, refused = made[0]
            assert of is suppressed
            for each in refused:
                refuse(each)
            return found

        return make

    def _whole(self, node: Node, suppressed: Suppressed, refused: list[Refused]) -> list[Row]:
        problems: list[Refused] = []
        try:
            found = list(self.of_lines(flatten([node]), suppressed, problems.append))
        except InvalidValueError as error:
            problems.append(Refused(str(error)))
        if not problems:
            return found
        refused.append(self._refused_root(node, problems[0].reason))
        return []

    def _refused_line(self, node: Any, error: Exception) -> Refused:
        """What is known of a single node that does not fit."""
        if not isinstance(node, dict) or not node:
            return Refused("it is no record")
        reason = self._explain(node, error)
        name = node.get("__typename")
        is_root = name == KINDS[self.root.name]
        if is_root or ("__parentId" not in node and not self._is_child(name)):
            return self._refused_root(node, reason, is_known=is_root)
        parent, own = node.get("__parentId"), node.get("id")
        root_id = number_of(parent, KINDS[self.root.name])
        own_id = own if _is_gid(own) else None
        within = parent if root_id is None and _is_gid(parent) and self._has_grandchildren() else None
        return Refused(reason, root_id, within, own_id, is_root=False)

    def _refused_root(self, node: Node, reason: str, *, is_known: bool = True) -> Refused:
        """What is known of an object that does not fit."""
        gid, customer = node.get("id"), node.get("customer")
        id_ = number_of(gid, KINDS[self.root.name])
        if self.root is raw.CARTS:
            gid = node.get("token")
            id_ = _cart_number(gid) if isinstance(gid, str) and gid else None
        return Refused(
            reason,
            id_,
            gid=gid if id_ is not None else None,
            is_root=True if is_known or id_ is not None else None,
            updated_at=records.clock(node.get("updatedAt", node.get("updated_at"))),
            created_at=records.clock(node.get("createdAt", node.get("created_at"))),
            customer_id=number_of(customer.get("id")) if isinstance(customer, dict) else None,
        )

    def _is_child(self, name: Any) -> bool:
        """Whether a kind of node is known to be a part of objects."""
        try:
            return _label(_MAPPERS[self.root.name].get(name) or _mapper_of(name, self.root is raw.ORDERS)) != ""
        except _MISFITS:
            return False

    def _has_grandchildren(self) -> bool:
        return any(table.parent not in (None, self.root) for table in raw.tree(self.root))

    def _explain(self, node: Node, error: Exception) -> str:
        """Which field of a node does not fit, and why: its mapper reads it again, and is watched."""
        path: list[str] = []
        label = ""
        try:
            name = _Watched(node, "", path)["__typename"]
            mapper = _MAPPERS[self.root.name].get(name) or _mapper_of(name, self.root is raw.ORDERS)
            label = _label(mapper)
            list(mapper(_Watched(node, "", path)))
        except KeyError:
            return f"{label}{path[-1] if path else 'it'} is missing"
        except InvalidValueError as misfit:
            return f"{label}{path[-1] if path else 'it'} {misfit}"
        except _MISFITS:
            return f"{label}{path[-1] if path else 'it'} is of another type than it should be"
        return f"{label}it {error if isinstance(error, InvalidValueError) else 'holds a text that is no Unicode'}"


class _Watched(dict[str, Any]):
    """A node that tells which of its fields was read last."""

    def __init__(self, node: Node, prefix: str, path: list[str]) -> None:
        super().__init__(node)
        self._prefix = prefix
        self._path = path

    def __getitem__(self, field: str) -> Any:
        self._path.append(f"{self._prefix}{field}")
        return self._watched(super().__getitem__(field), field)

    def get(self, field: str, default: Any = None) -> Any:
        self._path.append(f"{self._prefix}{field}")
        return self._watched(super().get(field, default), field)

    def _watched(self, value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return _Watched(value, f"{self._prefix}{field}.", self._path)
        if isinstance(value, list):
            return [self._watched(item, field) for item in value]
        return value


def flatten(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes with children inside them, as single nodes that name their parents: parents first.

    Raises:
        InvalidValueError: something else than records is in the place of children.
    """
    for node in nodes:
        children = [(child, node["id"]) for field in _CHILD_CONNECTIONS if field in node for child in _pop(node, field)]
        yield node
        for child, parent in children:
            child["__parentId"] = parent
        yield from flatten(child for child, _ in children)


def _pop(node: Node, field: str) -> list[Node]:
    children = node.pop(field)
    if not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
        raise InvalidValueError(f"{field} is no list of records")
    if not isinstance(node.get("id"), str):
        raise InvalidValueError("id is no text")
    return children


Mapped = tuple[str, str, tuple[str, ...], Node]
"""A table, the row's id, its columns, and what to keep as its payload."""


def _shop(node: Node) -> Iterator[Mapped]:
    columns = (
        instant(node["read_at"]),
        text(node["name"]),
        text(node["myshopifyDomain"]),
        text(node["currencyCode"]),
        text(node["ianaTimezone"]),
        text(node["plan"]["publicDisplayName"]),
        texts(node["accessScopes"]),
        _clock(node["createdAt"]),
    )
    id_ = _id(node["id"], "Shop")
    del node["read_at"]
    yield raw.SHOPS.name, id_, columns, node


def _customer(node: Node) -> Iterator[Mapped]:
    email = node["defaultEmailAddress"]
    email = NULL if email is None else text(email["emailAddress"])
    phone = node["defaultPhoneNumber"]
    columns = (
        _clock(node["updatedAt"]),
        _clock(node["createdAt"]),
        email,
        NULL if phone is None else text(phone["phoneNumber"]),
        text(node["firstName"]),
        text(node["lastName"]),
        _country(node["defaultAddress"]),
        text(node["locale"]),
        text(node["state"]),
        texts(node["tags"]),
        _count(node["numberOfOrders"]),
        _rfm_group(node["statistics"]),
    )
    yield raw.CUSTOMERS.name, _object_id(node, "Customer"), columns, node


def _order(node: Node) -> Iterator[Mapped]:
    id_ = _object_id(node, "Order")
    country = _country(node["shippingAddress"])
    columns = (
        _clock(node["updatedAt"]),
        text(node["name"]),
        _reference(node["customer"]),
        _clock(node["createdAt"]),
        _required(instant(node["processedAt"])),
        instant(node["cancelledAt"]),
        text(node["cancelReason"]),
        _required(boolean(node["test"])),
        _required(text(node["currencyCode"])),
        text(node["presentmentCurrencyCode"]),
        text(node["displayFinancialStatus"]),
        text(node["displayFulfillmentStatus"]),
        text(node["sourceName"]),
        _country(node["billingAddress"]) if country == NULL else country,
        texts(node["tags"]),
        texts(node["discountCodes"]),
        text(node["checkoutToken"]),
        text(_cart_id(node["cartToken"])),
        _amount(node["totalPriceSet"]),
        _amount(node["currentTotalPriceSet"]),
    )
    for refund in _records(node["refunds"]):
        yield _refund(refund, id_)
    for transaction in _records(node["transactions"]):
        yield _transaction(transaction, id_)
    for fulfillment in _records(node["fulfillments"]):
        yield _fulfillment(fulfillment, id_)
    del node["refunds"], node["transactions"], node["fulfillments"]
    yield raw.ORDERS.name, id_, columns, node


def _refund(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        instant(node["createdAt"]),
        instant(node["processedAt"]),
        _amount(node["totalRefundedSet"]),
    )
    return raw.REFUNDS.name, _id(node["id"], "Refund"), columns, node


def _transaction(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        _reference(node["parentTransaction"]),
        text(node["kind"]),
        text(node["status"]),
        text(node["gateway"]),
        boolean(node["test"]),
        instant(node["createdAt"]),
        instant(node["processedAt"]),
        _amount(node["amountSet"]),
    )
    return raw.ORDER_TRANSACTIONS.name, _id(node["id"], "OrderTransaction"), columns, node


def _fulfillment(node: Node, order_id: str) -> Mapped:
    columns = (
        order_id,
        text(node["status"]),
        text(node["displayStatus"]),
        instant(node["createdAt"]),
        instant(node["updatedAt"]),
        instant(node["deliveredAt"]),
        integer(node["totalQuantity"]),
    )
    return raw.FULFILLMENTS.name, _id(node["id"], "Fulfillment"), columns, node


def _line_item(node: Node) -> Iterator[Mapped]:
    columns = (
        _id(node["__parentId"], "Order"),
        _reference(node["product"]),
        _reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        integer(node["quantity"]),
        integer(node["currentQuantity"]),
        _amount(node["originalUnitPriceSet"]),
        boolean(node["isGiftCard"]),
    )
    id_ = _id(node["id"], "LineItem")
    del node["__parentId"]
    yield raw.ORDER_LINE_ITEMS.name, id_, columns, node


def _agreement(node: Node) -> Iterator[Mapped]:
    columns = (
        _id(node["__parentId"], "Order"),
        text(node["reason"]),
        _required(instant(node["happenedAt"])),
        _reference(node.get("refund")),
    )
    id_ = _text_id(node["id"])
    del node["__parentId"]
    yield raw.ORDER_AGREEMENTS.name, id_, columns, node


def _sale(node: Node) -> Iterator[Mapped]:
    columns = (
        _text_id(node["__parentId"]),
        _reference(node.get("lineItem")),
        text(node["actionType"]),
        text(node["lineType"]),
        integer(node["quantity"]),
        _amount(node["totalAmount"]),
        _amount(node["totalDiscountAmountBeforeTaxes"]),
        _amount(node["totalTaxAmount"]),
    )
    id_ = _text_id(node["id"])
    del node["__parentId"]
    yield raw.ORDER_SALES.name, id_, columns, node


def _product(node: Node) -> Iterator[Mapped]:
    columns = (
        _clock(node["updatedAt"]),
        text(node["title"]),
        text(node["handle"]),
        text(node["vendor"]),
        text(node["productType"]),
        text(node["status"]),
        texts(node["tags"]),
        _clock(node["createdAt"]),
        instant(node["publishedAt"]),
    )
    yield raw.PRODUCTS.name, _object_id(node, "Product"), columns, node


def _variant(node: Node) -> Iterator[Mapped]:
    columns = (
        _id(node["__parentId"], "Product"),
        text(node["title"]),
        text(node["sku"]),
        text(node["barcode"]),
        integer(node["position"]),
        amount(node["price"]),
        amount(node["compareAtPrice"]),
        instant(node["createdAt"]),
        instant(node["updatedAt"]),
    )
    id_ = _id(node["id"], "ProductVariant")
    del node["__parentId"]
    yield raw.PRODUCT_VARIANTS.name, id_, columns, node


def _abandoned_checkout(node: Node) -> Iterator[Mapped]:
    columns = (
        _clock(node["updatedAt"]),
        text(node["name"]),
        _reference(node["customer"]),
        _clock(node["createdAt"]),
        instant(node["completedAt"]),
        text(_checkout_token(node["abandonedCheckoutUrl"])),
        texts(node["discountCodes"]),
        _amount(node["totalPriceSet"]),
    )
    id_ = _object_id(node, "AbandonedCheckout")
    del node["abandonedCheckoutUrl"]  # it opens the cart to whoever has it: only its token is kept
    yield raw.ABANDONED_CHECKOUTS.name, id_, columns, node


def _abandoned_checkout_line_item(node: Node) -> Iterator[Mapped]:
    columns = (
        _id(node["__parentId"], "AbandonedCheckout"),
        _reference(node["product"]),
        _reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        integer(node["quantity"]),
        _amount(node["originalTotalPriceSet"]),
    )
    id_ = _id(node["id"], "AbandonedCheckoutLineItem")
    del node["__parentId"]
    yield raw.ABANDONED_CHECKOUT_LINE_ITEMS.name, id_, columns, node


def _cart(node: Node) -> Iterator[Mapped]:
    columns = (
        _clock(node["updated_at"]),
        _required(text(node["token"])),
        _clock(node["created_at"]),
    )
    yield raw.CARTS.name, str(_cart_number(node["token"])), columns, node


_Mapper = Callable[[Node], Iterator[Mapped]]

_MAPPERS: dict[str, dict[str, _Mapper]] = {
    raw.SHOPS.name: {"Shop": _shop},
    raw.CUSTOMERS.name: {"Customer": _customer},
    raw.ORDERS.name: {"Order": _order, "LineItem": _line_item},
    raw.PRODUCTS.name: {"Product": _product, "ProductVariant": _variant},
    raw.ABANDONED_CHECKOUTS.name: {
        "AbandonedCheckout": _abandoned_checkout,
        "AbandonedCheckoutLineItem": _abandoned_checkout_line_item,
    },
    raw.CARTS.name: {"Cart": _cart},
}
"""By root table and kind of node."""

_LABELS: dict[_Mapper, str] = {
    _line_item: "LineItem: ",
    _agreement: "Agreement: ",
    _sale: "Sale: ",
    _variant: "ProductVariant: ",
    _abandoned_checkout_line_item: "AbandonedCheckoutLineItem: ",
}
"""What the reason begins with where a part of an object does not fit."""


@lru_cache(256)
def _mapper_of(typename: str, has_ledger: bool) -> _Mapper:
    """The mapper of the open families: Shopify adds kinds of agreements and sales now and then.

    Raises:
        InvalidValueError: it is of neither.
    """
    if has_ledger and typename.endswith("Agreement"):
        return _agreement
    if has_ledger and typename.endswith("Sale"):
        return _sale
    raise InvalidValueError("is of no kind that is read here")


def _label(mapper: _Mapper) -> str:
    return _LABELS.get(mapper, "")


_TELLS_OF_A_PERSON: dict[str, RawTable] = {
    "Customer": raw.CUSTOMERS,
    "Order": raw.ORDERS,
    "AbandonedCheckout": raw.ABANDONED_CHECKOUTS,
}


def _suppress(node: Node, table: RawTable, suppressed: Suppressed) -> None:
    """Empty what tells of a person, where the node is of one who was redacted."""
    customer = node if table is raw.CUSTOMERS else node["customer"]
    owner = number_of(customer["id"]) if customer else None
    if suppressed.holds(table, str(number_of(node["id"]))) or suppressed.holds(raw.CUSTOMERS, str(owner)):
        node.update(dict.fromkeys(table.pii.fields))


@lru_cache(1 << 14)
def _clock(value: Any) -> str:
    """When an object was created or changed, by the server's own clock; nothing is known of it without."""
    if value is None:
        raise InvalidValueError("is missing")
    shown = instant(value)
    if records.clock(value) is None:
        raise InvalidValueError("is before 1990 or more than a year ahead")
    return shown


def _count(value: Any) -> str:
    shown = bigint(value)
    if shown[0] == "-":
        raise InvalidValueError("is less than nothing")
    return shown


def _required(shown: str) -> str:
    if shown == NULL:
        raise InvalidValueError("is missing")
    return shown


def _is_gid(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_GID) and len(value) <= _LONGEST_GID and value.isascii()


def _object_id(node: Node, kind: str) -> str:
    """The number of an object, which has no parent."""
    if "__parentId" in node:
        raise InvalidValueError("is of an object that names a parent")
    return _id(node["id"], kind)


def _id(gid: str, kind: str) -> str:
    """The number in a gid of a kind."""
    prefix, length = _PREFIXES[kind]
    if not gid.startswith(prefix):
        raise InvalidValueError(f"is no id of a {kind}")
    number = gid[length:]
    if number.isdecimal() and len(number) < _SURE_DIGITS and number.isascii() and number[0] != "0":
        return number
    return _number(gid)


_SURE_DIGITS = 19
"""As many may make a number that is too large; fewer cannot."""

_PREFIXES = {
    kind: (f"{_GID}{kind}/", len(f"{_GID}{kind}/"))
    for kind in (
        *("Shop", "Customer", "Order", "LineItem", "Refund", "OrderTransaction", "Fulfillment"),
        *("Product", "ProductVariant", "AbandonedCheckout", "AbandonedCheckoutLineItem"),
    )
}


def _text_id(gid: str) -> str:
    """A gid that is kept as it is: those of agreements and sales need not end in a number."""
    if _PLAIN_GID.fullmatch(gid):
        return gid
    if not _is_gid(gid):
        raise InvalidValueError("is no id")
    return text(gid)


_PLAIN_GID = re.compile(rf"{_GID}[A-Za-z]{{1,100}}/[0-9]{{1,100}}")


def _number(gid: str) -> str:
    number = gid.rpartition("/")[2]
    if number.isdecimal() and len(number) < _SURE_DIGITS and number.isascii() and number[0] != "0":
        return number
    parsed = number_of(gid)
    if parsed is None:
        raise InvalidValueError("is no id")
    return str(parsed)


def _reference(node: Node | None) -> str:
    return NULL if node is None else _number(node["id"])


def _amount(money_bag: Node | None) -> str:
    """The amount in the shop's currency."""
    return NULL if money_bag is None else amount(money_bag["shopMoney"]["amount"])


def _country(address: Node | None) -> str:
    return NULL if address is None else text(address["countryCodeV2"])


def _rfm_group(statistics: Node | None) -> str:
    return NULL if statistics is None else text(statistics.get("rfmGroup"))


def _records(nodes: Any) -> list[Node]:
    if type(nodes) is not list:
        raise InvalidValueError("is no list of records")
    return nodes


def _cart_id(token: Any) -> str | None:
    text(token)
    return cart_id(token)


def _cart_number(token: str) -> int:
    """A number for what Shopify names by a text: 63 bits of its digest, so that two carts of a shop never meet."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big") >> 1


def _checkout_token(url: str | None) -> str | None:
    """The token in a checkout's recovery URL: the path's last segment before `/recover`."""
    if url is None:
        return None
    path = url.partition("?")[0].rstrip("/")
    before, recover, _ = path.rpartition("/recover")
    token = (before if recover else path).rpartition("/")[2]
    return token or None
