"""Rows of abandoned checkouts, their line items, and carts."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import instant, integer, text, texts
from xeno_pipeline.raw.mapping.fields import (
    Mapped,
    Node,
    cart_number,
    clock,
    gid_number,
    object_id,
    reference,
    required,
    shop_amount,
)


def map_checkout(node: Node) -> Iterator[Mapped]:
    """The row of an abandoned checkout."""
    columns = (
        clock(node["updatedAt"]),
        text(node["name"]),
        reference(node["customer"]),
        clock(node["createdAt"]),
        instant(node["completedAt"]),
        text(_checkout_token(node["abandonedCheckoutUrl"])),
        texts(node["discountCodes"]),
        shop_amount(node["totalPriceSet"]),
    )
    id_ = object_id(node, "AbandonedCheckout")
    del node["abandonedCheckoutUrl"]  # it opens the cart to whoever has it: only its token is kept
    yield raw.ABANDONED_CHECKOUTS.name, id_, columns, node


def map_checkout_line_item(node: Node) -> Iterator[Mapped]:
    """The row of a line item of an abandoned checkout."""
    columns = (
        gid_number(node["__parentId"], "AbandonedCheckout"),
        reference(node["product"]),
        reference(node["variant"]),
        text(node["sku"]),
        text(node["title"]),
        integer(node["quantity"]),
        shop_amount(node["originalTotalPriceSet"]),
    )
    id_ = gid_number(node["id"], "AbandonedCheckoutLineItem")
    del node["__parentId"]
    yield raw.ABANDONED_CHECKOUT_LINE_ITEMS.name, id_, columns, node


def map_cart(node: Node) -> Iterator[Mapped]:
    """The row of a cart."""
    columns = (
        clock(node["updated_at"]),
        required(text(node["token"])),
        clock(node["created_at"]),
    )
    yield raw.CARTS.name, str(cart_number(node["token"])), columns, node


def _checkout_token(url: str | None) -> str | None:
    """The token in a checkout's recovery URL: the path's last segment before `/recover`."""
    if url is None:
        return None
    path = url.partition("?")[0].rstrip("/")
    before, recover, _ = path.rpartition("/recover")
    token = (before if recover else path).rpartition("/")[2]
    return token or None
