"""Rows of products and their variants."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import amount, instant, integer, text, texts
from xeno_pipeline.raw.mapping.fields import Mapped, Node, clock, gid_number, object_id


def map_product(node: Node) -> Iterator[Mapped]:
    """The row of a product."""
    columns = (
        clock(node["updatedAt"]),
        text(node["title"]),
        text(node["handle"]),
        text(node["vendor"]),
        text(node["productType"]),
        text(node["status"]),
        texts(node["tags"]),
        clock(node["createdAt"]),
        instant(node["publishedAt"]),
    )
    yield raw.PRODUCTS.name, object_id(node, "Product"), columns, node


def map_variant(node: Node) -> Iterator[Mapped]:
    """The row of a variant."""
    columns = (
        gid_number(node["__parentId"], "Product"),
        text(node["title"]),
        text(node["sku"]),
        text(node["barcode"]),
        integer(node["position"]),
        amount(node["price"]),
        amount(node["compareAtPrice"]),
        instant(node["createdAt"]),
        instant(node["updatedAt"]),
    )
    id_ = gid_number(node["id"], "ProductVariant")
    del node["__parentId"]
    yield raw.PRODUCT_VARIANTS.name, id_, columns, node
