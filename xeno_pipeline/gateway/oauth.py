"""The pages by which a merchant connects a store: he is sent to Shopify, and comes back with a code.

What comes in is not believed: Shopify signs the query, a cookie tells that the same browser comes back, and the state
in the query is used once. Nobody is sent anywhere but to the store that a strictly checked name leads to.
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
from xeno_pipeline.tenants.onboarding import NEEDED_SCOPES, MissingScopeError, connect_authorized, withheld

log = logging.getLogger(__name__)

_CALLBACK = "/auth/callback"
_FRESH_SECONDS = 300
"""How old the query of a callback may be, and how far ahead of our clock: it comes in the moment it is signed."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address of a callback holds its code
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Connecting:
    """What stores are connected with.

    Args:
        app: the installation's app.
        secrets: its secret, and while it is being rotated the one before.
        scopes: what a store is asked for.
        url_template: where stores are.
        public_url: where merchants reach the gateway.
        load_ring: gives the keys that tokens are sealed with, which may be rotated meanwhile.
    """

    app: App
    secrets: Sequence[str]
    scopes: Sequence[str]
    url_template: str
    public_url: str
    load_ring: Callable[[], KeyRing]


def connecting_by(settings: Settings, secrets: Sequence[str]) -> Connecting | None:
    """What the settings say of it; None where there is no app to connect stores with.

    Raises:
        UsageError: a setting is missing, or cannot be used.
    """
    app = installation_app(settings)
    if app is None:
        return None
    scopes = [scope.strip() for scope in settings.shopify_scopes.split(",") if scope.strip()]
    if missing := withheld(NEEDED_SCOPES, scopes):
        raise UsageError(f"XENO_SHOPIFY_SCOPES lacks {', '.join(missing)}, without which nothing can be read.")
    template = check_url_template(settings.shopify_url_template)
    return Connecting(
        app, secrets, scopes, template, _public_url(settings.public_url), partial(load_key_ring, settings)
    )


class OAuthPages:
    """`/auth/install` and `/auth/callback`.

    Args:
        database: where tenants are.
        how: what they are connected with.
    """

    def __init__(self, database: Database, how: Connecting) -> None:
        self._database = database
        self._how = how
        self._is_secure = how.public_url.startswith("https://")
        # With this prefix a browser takes the cookie from this very host alone, not from one beside it.
        self._cookie = "__Host-xeno-oauth" if self._is_secure else "xeno-oauth"

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/auth/install", self.install), Route(_CALLBACK, self.callback)]

    async def install(self, request: Request) -> Response:
        """Send a merchant's browser to the store, to be asked whether the app may come in."""
        return await self._answered("install", self._install, request)

    async def callback(self, request: Request) -> Response:
        """Take the browser that comes back: the store becomes a tenant, or is told why not."""
        return await self._answered("callback", self._callback, request)

    async def _answered(self, what: str, handle: Callable[[Request], Response], request: Request) -> Response:
        request_id = uuid.uuid4().hex
        told: dict[str, object] = {"request_id": request_id}
        try:
            response = await run_in_threadpool(handle, request)
            told["outcome"] = "followed"
        except Refusal as refusal:
            response = _page(refusal.status, "This did not work", str(refusal))
            told["outcome"] = refusal.outcome
            told["reason"] = str(refusal.__cause__) if isinstance(refusal.__cause__, XenoError) else None
        log.info(what, extra=told | {"status": response.status_code})
        response.headers.update({**_HEADERS, "X-Request-Id": request_id})
        return response

    def _install(self, request: Request) -> Response:
        query = _query(request)
        if "hmac" in query:  # Shopify's own link is signed; one in an email or on a page is not
            self._check_signature(query)
        with _available(self._database) as connection:
            handle = _current_handle(connection, _handle(query))
            begun = oauth_states.begin(connection, handle)
        if begun is None:
            raise Refusal(503, "too_many", "Too many stores are being connected: try again in a few minutes.")
        how = self._how
        store_url = how.url_template.format(handle=handle)
        url = authorize_url(store_url, how.app, how.scopes, f"{how.public_url}{_CALLBACK}", begun.state)
        response = RedirectResponse(url, 302)
        response.set_cookie(
            *(self._cookie, begun.browser),
            max_age=oauth_states.LIFETIME_SECONDS,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",  # it must come along when Shopify sends the browser back
        )
        return response

    def _callback(self, request: Request) -> Response:
        query = _query(request)
        self._check_signature(query)
        handle = _handle(query)
        _check_fresh(query)
        state, browser = query.get("state", ""), request.cookies.get(self._cookie, "")
        with _available(self._database) as connection:
            is_ours = oauth_states.use(connection, handle, state, browser)
        if not is_ours:
            raise Refusal(
                403,
                "bad_state",
                "This browser did not begin this connection, or it was completed, or is too old. "
                "Begin again, and stay in one browser.",
            )
        if not query.get("code"):
            raise Refusal(400, "declined", "The store did not let the app in; nothing was connected.")
        tenant = self._connect(handle, query["code"])
        response = _page(200, f"{tenant} is connected", "Its history is being read. You may close this page.")
        response.delete_cookie(self._cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")
        return response

    def _connect(self, handle: str, code: str) -> str:
        """Make the store a tenant; returns its name."""
        how = self._how
        store_url = how.url_template.format(handle=handle)
        try:
            issued = exchange_code(handle, store_url, how.app, code)
            if missing := withheld(how.scopes, issued.scopes):
                raise Refusal(
                    403,
                    "scope_withheld",
                    f"The store did not grant {', '.join(missing)}; nothing was connected. "
                    "Begin again, and grant all that the app asks for.",
                )
            ring = how.load_ring()
            return connect_authorized(self._database, ring, handle=handle, api_url=store_url, issued=issued).name
        except GrantRefusedError as error:
            raise Refusal(400, "code_refused", "Shopify does not accept the code (any more). Begin again.") from error
        except MissingScopeError as error:
            raise Refusal(403, "scope_withheld", "The store did not grant what the app needs.") from error
        except (ShopifyError, psycopg.Error, DatabaseUnavailableError) as error:
            if is_caused_by_values(error):
                raise _not_connected() from error
            raise Refusal(503, "unavailable", "The store could not be read just now. Begin again later.") from error
        except XenoError as error:
            raise _not_connected() from error

    def _check_signature(self, query: dict[str, str]) -> None:
        if not is_signed_query(query, self._how.secrets):
            raise Refusal(401, "bad_signature", "This address was not signed by Shopify.")


def _not_connected() -> Refusal:
    return Refusal(409, "not_connected", "The store could not be connected; its operator can see why.")


def _query(request: Request) -> dict[str, str]:
    """The query, each name once: a second value would be signed by nobody."""
    try:
        pairs = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        pairs = []
    query = dict(pairs)
    if not query or len(query) != len(pairs):
        raise Refusal(400, "malformed", "This address is incomplete: begin at /auth/install?shop=acme.myshopify.com.")
    return query


def _handle(query: dict[str, str]) -> str:
    try:
        return shop_handle(query.get("shop", ""))
    except InvalidShopError as error:
        raise Refusal(400, "bad_shop", str(error)) from None


def _current_handle(connection: Connection, handle: str) -> str:
    """The handle itself, or the one that the shop was renamed to, under which the merchant comes back."""
    tenant = registry.find_by_domain(connection, f"{handle}.myshopify.com")
    try:
        return handle if tenant is None else shop_handle(tenant.shop_domain)
    except InvalidShopError:
        return handle


def _check_fresh(query: dict[str, str]) -> None:
    timestamp = query.get("timestamp", "")
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    if not is_number or abs(time.time() - int(timestamp)) > _FRESH_SECONDS:
        raise Refusal(400, "stale", "This address is too old. Begin again.")


@contextmanager
def _available(database: Database) -> Iterator[Connection]:
    """A connection to the database; where it is away, that is said."""
    try:
        with database.connect() as connection:
            yield connection
    except (DatabaseUnavailableError, psycopg.Error) as error:
        raise Refusal(503, "unavailable", "The database is away: try again later.") from error


def _page(status: int, title: str, text: str) -> HTMLResponse:
    title, text = html.escape(title), html.escape(text)
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<body style='font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 4rem auto'><h1>{title}</h1><p>{text}</p>",
        status,
    )


def _public_url(url: str | None) -> str:
    """XENO_PUBLIC_URL without a slash at its end.

    Raises:
        UsageError: it is not set, or is no URL by which a merchant's browser comes here safely.
    """
    if url is None:
        raise UsageError(
            "XENO_PUBLIC_URL is not set: merchants who connect a store come back to the gateway by it, "
            "as by https://xeno.example.com."
        )
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    if not (is_safe and parts.hostname) or parts.query or parts.fragment or parts.username:
        raise UsageError(f"XENO_PUBLIC_URL is {url!r}: it is written as https://xeno.example.com is.")
    return url.rstrip("/")
