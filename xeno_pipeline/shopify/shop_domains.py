"""The domains of shops at myshopify.com: what is one, and where it leads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from xeno_pipeline.errors import XenoError
from xeno_pipeline.shopify.errors import MovedError

T = TypeVar("T")

MOST_REDIRECTS = 5
"""That are followed one after the other."""

SHOPIFY_URLS = "https://{handle}.myshopify.com"
"""Where a store is, by its handle."""

_SHOP = re.compile(r"([a-z0-9][a-z0-9-]{0,59})\.myshopify\.com")


class InvalidShopError(XenoError):
    """A text names no shop."""


def shop_handle(domain: str) -> str:
    """The handle of a shop's domain: `acme` of `acme.myshopify.com`.

    Raises:
        InvalidShopError: it is not exactly such a domain. A host taken from outside leads nowhere else this way.
    """
    found = _SHOP.fullmatch(domain)
    if found is None:
        raise InvalidShopError("The shop is written as acme.myshopify.com is.")
    return found[1]


def redirected_domain(location: str | None) -> str | None:
    """The shop's domain that a `Location` header leads to; None where it leads anywhere else, or not by https."""
    try:
        parts = urlsplit(location or "")
        domain = parts.netloc.lower()  # no port and no user: the whole of it is a shop's domain, or it is none
        shop_handle(domain)
    except (ValueError, InvalidShopError):
        return None
    return domain if parts.scheme == "https" else None


def store_url(urls: str, domain: str) -> str:
    """The root of the Admin API of the shop of a domain.

    Args:
        urls: where stores are: `SHOPIFY_URLS`, or for development a template of `oauth.check_url_template`.
        domain: of the shop.

    Raises:
        InvalidShopError: it is no shop's.
    """
    return urls.format(handle=shop_handle(domain))


def follow_redirects(root: str, urls: str, ask: Callable[[str], T]) -> T:
    """What comes of asking a store at the root of its API, or at the one that its address leads to.

    Args:
        root: where to ask first.
        urls: see `store_url`.
        ask: asks at a root.

    Raises:
        MovedError: it leads on and on.
    """
    for _ in range(MOST_REDIRECTS):
        try:
            return ask(root)
        except MovedError as error:
            moved = error
            root = store_url(urls, moved.domain)
    raise moved
