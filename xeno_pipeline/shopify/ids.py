"""Shopify's global ids, `gid://shopify/Order/123`."""

from __future__ import annotations


def number(gid: str) -> int:
    """The number at the end of a gid: 123 of `gid://shopify/Order/123`, a query string left out.

    Raises:
        ValueError: it does not end in a number.
    """
    return int(gid.partition("?")[0].rpartition("/")[2])


def kind(gid: str) -> str:
    """The object's kind: `Order` of `gid://shopify/Order/123`."""
    return gid.split("/")[3]
