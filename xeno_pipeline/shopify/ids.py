"""Shopify's global ids, `gid://shopify/Order/123`."""

from __future__ import annotations


def gid(kind: str, number: int) -> str:
    """The gid of an object: `gid://shopify/Order/123`."""
    return f"{prefix(kind)}{number}"


def prefix(kind: str) -> str:
    """What the gids of a kind of object begin with."""
    return f"gid://shopify/{kind}/"


def number(gid: str) -> int:
    """The number at the end of a gid: 123 of `gid://shopify/Order/123`. A query string is ignored.

    Raises:
        ValueError: it does not end in a number.
    """
    return int(gid.partition("?")[0].rpartition("/")[2])


def kind(gid: str) -> str:
    """The object's kind: `Order` of `gid://shopify/Order/123`."""
    return gid.split("/")[3]
