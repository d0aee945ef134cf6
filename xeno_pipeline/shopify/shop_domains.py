"""The domains of shops at myshopify.com: validation, API URLs, redirects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from xeno_pipeline.errors import XenoError
from xeno_pipeline.shopify.errors import MovedError

T = TypeVar("T")

MOST_REDIRECTS = 5
"""The most redirects that are followed in a row."""

SHOPIFY_URLS = "https://{handle}.myshopify.com"
"""The template of a store's URL."""

_SHOP = re.compile(r"([a-z0-9][a-z0-9-]{0,59})\.myshopify\.com")


class InvalidShopError(XenoError):
    """A text is not the domain of a shop."""


def shop_handle(domain: str) -> str:
    """The handle of a shop's domain: `acme` of `acme.myshopify.com`.

    Raises:
        InvalidShopError: it is not exactly such a domain. So a domain from outside cannot lead to another host.
    """
    found = _SHOP.fullmatch(domain)
    if found is None:
        raise InvalidShopError("The shop is written as acme.myshopify.com is.")
    return found[1]


def redirected_domain(location: str | None) -> str | None:
    """The shop's domain that a `Location` header leads to; None if it leads anywhere else, or not by https."""
    try:
        parts = urlsplit(location or "")
        domain = parts.netloc.lower()  # must be a shop's domain as a whole: no port and no user
        shop_handle(domain)
    except (ValueError, InvalidShopError):
        return None
    return domain if parts.scheme == "https" else None


def store_url(urls: str, domain: str) -> str:
    """The root of the Admin API of the shop of a domain.

    Args:
        urls: `SHOPIFY_URLS`, or for development a template that `oauth.check_url_template` accepts.

    Raises:
        InvalidShopError: it is not a shop's domain.
    """
    return urls.format(handle=shop_handle(domain))


def follow_redirects(root: str, urls: str, call: Callable[[str], T]) -> T:
    """Call a store at the root of its API, or at the one that it redirects to.

    Args:
        root: the root to call first.
        urls: see `store_url`.
        call: makes the call at a root.

    Raises:
        MovedError: there were too many redirects.
    """
    for _ in range(MOST_REDIRECTS):
        try:
            return call(root)
        except MovedError as error:
            moved = error
            root = store_url(urls, moved.domain)
    raise moved
