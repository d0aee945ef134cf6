"""Which function maps which kind of node, by root table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import InvalidValueError
from xeno_pipeline.raw.mapping.checkouts import map_cart, map_checkout, map_checkout_line_item
from xeno_pipeline.raw.mapping.customers import map_customer
from xeno_pipeline.raw.mapping.fields import Mapped, Node
from xeno_pipeline.raw.mapping.orders import map_agreement, map_line_item, map_order, map_sale
from xeno_pipeline.raw.mapping.products import map_product, map_variant
from xeno_pipeline.raw.mapping.shops import map_shop
from xeno_pipeline.raw.tables import RawTable

Mapper = Callable[[Node], Iterator[Mapped]]

INVALID_NODE_ERRORS = (KeyError, TypeError, AttributeError, ValueError)
"""What a mapper raises where a node is not what the queries select."""

_MAPPERS: dict[str, dict[str, Mapper]] = {
    raw.SHOPS.name: {"Shop": map_shop},
    raw.CUSTOMERS.name: {"Customer": map_customer},
    raw.ORDERS.name: {"Order": map_order, "LineItem": map_line_item},
    raw.PRODUCTS.name: {"Product": map_product, "ProductVariant": map_variant},
    raw.ABANDONED_CHECKOUTS.name: {
        "AbandonedCheckout": map_checkout,
        "AbandonedCheckoutLineItem": map_checkout_line_item,
    },
    raw.CARTS.name: {"Cart": map_cart},
}
"""By root table and kind of node."""

_CHILD_LABELS: dict[Mapper, str] = {
    map_line_item: "LineItem: ",
    map_agreement: "Agreement: ",
    map_sale: "Sale: ",
    map_variant: "ProductVariant: ",
    map_checkout_line_item: "AbandonedCheckoutLineItem: ",
}


def mappers_of(root: RawTable) -> dict[str, Mapper]:
    """The mappers of a root table's nodes by kind, without the open families (see `mapper_of`)."""
    return _MAPPERS[root.name]


def mapper_of(root: RawTable, typename: str) -> Mapper:
    """The mapper of a kind of node.

    Raises:
        InvalidValueError: no such kind belongs to the root table.
    """
    return _MAPPERS[root.name].get(typename) or _open_family_mapper(typename, root is raw.ORDERS)


def mapping_module(table: RawTable) -> ModuleType:
    """The module that maps Shopify's fields to the columns of a table."""
    root = table
    while root.parent is not None:
        root = root.parent
    return sys.modules[_MAPPERS[root.name][raw.KINDS[root.name]].__module__]


def child_label(mapper: Mapper) -> str:
    """How the reason for a refusal begins where a part of an object does not fit; empty for an object itself."""
    return _CHILD_LABELS.get(mapper, "")


def _open_family_mapper(typename: str, has_ledger: bool) -> Mapper:
    """The mapper of agreements and sales, of which Shopify adds kinds now and then."""
    if has_ledger and typename.endswith("Agreement"):
        return map_agreement
    if has_ledger and typename.endswith("Sale"):
        return map_sale
    raise InvalidValueError("is of no kind that is read here")
