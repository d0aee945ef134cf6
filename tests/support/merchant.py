"""A merchant's browser, on its way from the gateway to the store and back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from xeno_pipeline.shopify.oauth import sign_query

APP = {"XENO_SHOPIFY_API_KEY": "sandbox-app", "XENO_SHOPIFY_API_SECRET": "shpss_sandbox"}
PUBLIC_URL = "http://127.0.0.1:9"
"""Where a gateway whose port nobody knows beforehand may say it is; nothing listens there."""

Query = dict[str, str]


def signed(query: Query, secret: str = APP["XENO_SHOPIFY_API_SECRET"]) -> Query:
    """A query with Shopify's signature."""
    return {**query, "hmac": sign_query(query, secret)}


def now() -> str:
    """The timestamp of a query signed now."""
    return str(int(time.time()))


@dataclass(frozen=True)
class Browser:
    """One browser, with its cookies.

    Args:
        gateway_url: where the gateway really is.
        public_url: where it says it is.
    """

    gateway_url: str
    public_url: str = PUBLIC_URL
    session: requests.Session = field(default_factory=requests.Session)

    def install(self, shop: str, **more: str) -> requests.Response:
        """Begin to connect a shop."""
        return self._get(f"{self.gateway_url}/auth/install?{urlencode({'shop': shop, **more})}")

    def let_in(self, handle: str) -> Query:
        """Begin, and let the app in at the store; the query that Shopify sends the browser back with."""
        location = self.install(f"{handle}.myshopify.com").headers["Location"]
        back = self._get(location).headers["Location"]
        assert back.startswith(f"{self.public_url}/auth/callback?")
        return dict(parse_qsl(urlsplit(back).query))

    def come_back(self, query: Query | str) -> requests.Response:
        """Come back to the gateway."""
        return self._get(f"{self.gateway_url}/auth/callback?{query if isinstance(query, str) else urlencode(query)}")

    def connect(self, handle: str) -> requests.Response:
        """The whole way."""
        return self.come_back(self.let_in(handle))

    def _get(self, url: str) -> requests.Response:
        return self.session.get(url, allow_redirects=False, timeout=30)
