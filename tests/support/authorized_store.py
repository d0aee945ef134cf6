"""Stores that are connected as OAuth does it, without a browser or a gateway."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import requests

from shopify_sandbox.oauth import DEFAULT_APP
from tests.support.installation import Installation, Shop
from xeno_pipeline.shopify.oauth import App, IssuedToken, authorize_url, exchange_code
from xeno_pipeline.tenants.onboarding import connect_authorized
from xeno_pipeline.tenants.registry import Tenant

APP = App(DEFAULT_APP["client_id"], DEFAULT_APP["client_secret"])
SCOPES = ("read_all_orders", "read_customers", "read_orders", "read_products")


def code_of(shop: Shop) -> str:
    """A code, as a store gives it to a merchant who lets the app in."""
    url = authorize_url(shop.api_url, APP, SCOPES, "http://127.0.0.1/auth/callback", "state")
    back = requests.get(url, allow_redirects=False, timeout=30).headers["Location"]
    return dict(parse_qsl(urlsplit(back).query))["code"]


def issued_by(shop: Shop) -> IssuedToken:
    """A pair of tokens."""
    return exchange_code(shop.handle, shop.api_url, APP, code_of(shop))


def connect(installation: Installation, shop: Shop) -> Tenant:
    """Connect a store whose token ends."""
    return connect_authorized(
        installation.database, installation.ring, handle=shop.handle, api_url=shop.api_url, issued=issued_by(shop)
    )
