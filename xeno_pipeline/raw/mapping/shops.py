"""Rows of shops."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import instant, text, texts
from xeno_pipeline.raw.mapping.fields import Mapped, Node, clock, gid_number


def map_shop(node: Node) -> Iterator[Mapped]:
    """The row of a shop."""
    columns = (
        instant(node["read_at"]),
        text(node["name"]),
        text(node["myshopifyDomain"]),
        text(node["currencyCode"]),
        text(node["ianaTimezone"]),
        text(node["plan"]["publicDisplayName"]),
        texts(node["accessScopes"]),
        clock(node["createdAt"]),
    )
    id_ = gid_number(node["id"], "Shop")
    del node["read_at"]
    yield raw.SHOPS.name, id_, columns, node
