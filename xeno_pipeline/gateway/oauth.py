"""OAuth authorization-code flow: redirect a merchant to Shopify, and handle the callback.

No input is trusted: Shopify signs the query, a cookie binds the flow to one browser, the state in the query is used
once, and redirects go only to the store that a strictly validated name leads to.
Source: https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
"""

from __future__ import annotations

import html
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from xeno_pipeline.database.connection import Connection, Database, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import is_caused_by_values
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.gateway.refusal import Refusal
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.errors import ShopifyError
from xeno_pipeline.shopify.oauth import (
    App,
    GrantRefusedError,
    authorize_url,
    check_url_template,
    exchange_code,
    is_signed_query,
)
from xeno_pipeline.shopify.shop_domains import InvalidShopError, shop_handle
from xeno_pipeline.shopify.transport import is_loopback
from xeno_pipeline.tenants import oauth_states, registry
from xeno_pipeline.tenants.apps import installation_app
from xeno_pipeline.tenants.credentials import KeyRing, load_key_ring
from xeno_pipeline.tenants.onboarding import MissingScopeError, connect_authorized
from xeno_pipeline.tenants.scopes import REQUIRED_SCOPES, configured_scopes, missing_scopes

log = logging.getLogger(__name__)

_CALLBACK = "/auth/callback"
_MAX_AGE_SECONDS = 300
"""Of a callback's query, which is signed when it is sent; also how far ahead of our clock it may be."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the URL of a callback contains its code
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class OAuthConfig:
    """What stores are connected with.

    Args:
        app: the installation's app.
        secrets: its secret, and the previous one during a rotation.
        scopes: the access scopes to request.
        url_template: of stores' URLs.
        public_url: of the gateway.
        load_ring: loads the current keys, which may be rotated at any time.
    """

    app: App
    secrets: Sequence[str]
    scopes: Sequence[str]
    url_template: str
    public_url: str
    load_ring: Callable[[], KeyRing]


def oauth_config(settings: Settings, secrets: Sequence[str]) -> OAuthConfig | None:
    """The configuration by the settings; None where there is no app to connect stores with.

    Raises:
        UsageError: a setting is missing or invalid.
    """
    app = installation_app(settings)
    if app is None:
        return None
    scopes = configured_scopes(settings)
    if missing := missing_scopes(REQUIRED_SCOPES, scopes):
        raise UsageError(f"XENO_SHOPIFY_SCOPES lacks {', '.join(missing)}, without which nothing can be loaded.")
    template = check_url_template(settings.shopify_url_template)
    return OAuthConfig(
        app, secrets, scopes, template, _public_url(settings.public_url), partial(load_key_ring, settings)
    )


class OAuthPages:
    """`/auth/install` and `/auth/callback`."""

    def __init__(self, database: Database, config: OAuthConfig) -> None:
        self._database = database
        self._config = config
        self._is_secure = config.public_url.startswith("https://")
        # With this prefix a browser accepts the cookie from this very host only, not from a sibling.
        self._cookie = "__Host-xeno-oauth" if self._is_secure else "xeno-oauth"

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/auth/install", self.install), Route(_CALLBACK, self.callback)]

    async def install(self, request: Request) -> Response:
        """Redirect a merchant's browser to the store's page that authorizes the app."""
        return await self._respond("install", self._install, request)

    async def callback(self, request: Request) -> Response:
        """Handle the browser's return: connect the store, or show why that failed."""
        return await self._respond("callback", self._callback, request)

    async def _respond(self, what: str, handle: Callable[[Request], Response], request: Request) -> Response:
        request_id = uuid.uuid4().hex
        log_fields: dict[str, object] = {"request_id": request_id}
        try:
            response = await run_in_threadpool(handle, request)
            log_fields["outcome"] = "followed"
        except Refusal as refusal:
            response = _page(refusal.status, "The store was not connected", str(refusal))
            log_fields["outcome"] = refusal.outcome
            log_fields["reason"] = str(refusal.__cause__) if isinstance(refusal.__cause__, XenoError) else None
        log.info(what, extra=log_fields | {"status": response.status_code})
        response.headers.update({**_HEADERS, "X-Request-Id": request_id})
        return response

    def _install(self, request: Request) -> Response:
        query = _query(request)
        if "hmac" in query:  # links from Shopify are signed; links in e-mails and on pages are not
            self._check_signature(query)
        with _available(self._database) as connection:
            handle = _current_handle(connection, _handle(query))
            pending = oauth_states.create(connection, handle)
        if pending is None:
            raise Refusal(503, "too_many", "Too many stores are being connected: try again in a few minutes.")
        config = self._config
        store_url = config.url_template.format(handle=handle)
        url = authorize_url(store_url, config.app, config.scopes, f"{config.public_url}{_CALLBACK}", pending.state)
        response = RedirectResponse(url, 302)
        response.set_cookie(
            *(self._cookie, pending.browser),
            max_age=oauth_states.LIFETIME_SECONDS,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",  # it must be sent when Shopify redirects the browser back
        )
        return response

    def _callback(self, request: Request) -> Response:
        query = _query(request)
        self._check_signature(query)
        handle = _handle(query)
        _check_fresh(query)
        state, browser = query.get("state", ""), request.cookies.get(self._cookie, "")
        with _available(self._database) as connection:
            is_ours = oauth_states.consume(connection, handle, state, browser)
        if not is_ours:
            raise Refusal(
                403,
                "bad_state",
                "This browser did not start this connection, or the connection was completed or has expired. "
                "Start again, and stay in one browser.",
            )
        if not query.get("code"):
            raise Refusal(400, "declined", "The store declined the app; nothing was connected.")
        tenant = self._connect(handle, query["code"])
        response = _page(200, f"{tenant} is connected", "Its history is being loaded. You may close this page.")
        response.delete_cookie(self._cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")
        return response

    def _connect(self, handle: str, code: str) -> str:
        """Connect the store; returns its name."""
        config = self._config
        store_url = config.url_template.format(handle=handle)
        try:
            issued = exchange_code(handle, store_url, config.app, code)
            if missing := missing_scopes(config.scopes, issued.scopes):
                raise Refusal(
                    403,
                    "scope_withheld",
                    f"The store did not grant {', '.join(missing)}; nothing was connected. "
                    "Start again, and grant everything that the app requests.",
                )
            ring = config.load_ring()
            return connect_authorized(self._database, ring, handle=handle, api_url=store_url, issued=issued).name
        except GrantRefusedError as error:
            raise Refusal(
                400, "code_refused", "Shopify does not accept the code, or no longer does. Start again."
            ) from error
        except MissingScopeError as error:
            raise Refusal(403, "scope_withheld", "The store did not grant the access that the app needs.") from error
        except (ShopifyError, psycopg.Error, DatabaseUnavailableError) as error:
            if is_caused_by_values(error):
                raise _not_connected() from error
            raise Refusal(
                503, "unavailable", "The store cannot be reached at the moment. Start again later."
            ) from error
        except XenoError as error:
            raise _not_connected() from error

    def _check_signature(self, query: dict[str, str]) -> None:
        if not is_signed_query(query, self._config.secrets):
            raise Refusal(401, "bad_signature", "This link was not signed by Shopify.")


def _not_connected() -> Refusal:
    return Refusal(409, "not_connected", "The store could not be connected; the reason is in the gateway's log.")


def _query(request: Request) -> dict[str, str]:
    """The query, each name once: a second value would not be covered by the signature."""
    try:
        pairs = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        pairs = []
    query = dict(pairs)
    if not query or len(query) != len(pairs):
        raise Refusal(400, "malformed", "This link is incomplete: start at /auth/install?shop=acme.myshopify.com.")
    return query


def _handle(query: dict[str, str]) -> str:
    try:
        return shop_handle(query.get("shop", ""))
    except InvalidShopError as error:
        raise Refusal(400, "bad_shop", str(error)) from None


def _current_handle(connection: Connection, handle: str) -> str:
    """The current handle of a shop, under which its merchant returns, where it was renamed."""
    tenant = registry.find_by_domain(connection, f"{handle}.myshopify.com")
    try:
        return handle if tenant is None else shop_handle(tenant.shop_domain)
    except InvalidShopError:
        return handle


def _check_fresh(query: dict[str, str]) -> None:
    timestamp = query.get("timestamp", "")
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    if not is_number or abs(time.time() - int(timestamp)) > _MAX_AGE_SECONDS:
        raise Refusal(400, "stale", "This link has expired. Start again.")


@contextmanager
def _available(database: Database) -> Iterator[Connection]:
    """Connect to the database; refuse the request where it is not available."""
    try:
        with database.connect() as connection:
            yield connection
    except (DatabaseUnavailableError, psycopg.Error) as error:
        raise Refusal(503, "unavailable", "The database is not available: try again later.") from error


def _page(status: int, title: str, text: str) -> HTMLResponse:
    title, text = html.escape(title), html.escape(text)
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<body style='font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 4rem auto'><h1>{title}</h1><p>{text}</p>",
        status,
    )


def _public_url(url: str | None) -> str:
    """XENO_PUBLIC_URL without its trailing slash.

    Raises:
        UsageError: it is not set, or not a secure URL.
    """
    if url is None:
        raise UsageError(
            "XENO_PUBLIC_URL is not set: Shopify redirects merchants who connect a store to it, "
            "for example https://xeno.example.com."
        )
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    if not (is_safe and parts.hostname) or parts.query or parts.fragment or parts.username:
        raise UsageError(f"XENO_PUBLIC_URL is {url!r}; expected a URL like https://xeno.example.com.")
    return url.rstrip("/")
