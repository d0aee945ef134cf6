"""The dashboard as an ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.dashboard.cookies import Cookies
from xeno_pipeline.dashboard.pages import (
    checkouts,
    churn,
    customers,
    data,
    ledger,
    overview,
    products,
    retention,
    rfm,
    segments,
    stores,
)
from xeno_pipeline.dashboard.security import SecurityHeaders
from xeno_pipeline.dashboard.sign_in import SignIn
from xeno_pipeline.dashboard.templating import STATIC_PREFIX, static_files
from xeno_pipeline.dashboard.visits import Endpoints, ForbiddenError, NotFoundError, Reader, StoreVisit
from xeno_pipeline.database.connection import DatabaseUnavailableError
from xeno_pipeline.errors import UsageError
from xeno_pipeline.segments.members import MembersWithheldError
from xeno_pipeline.settings import Settings
from xeno_pipeline.web.downloads import TooManyDownloadsError

log = logging.getLogger(__name__)

_SMALLEST_COMPRESSED = 1_000

_STORE_PAGES: dict[str, Callable[[StoreVisit], Response]] = {
    "": overview.show,
    "/parts/today": overview.today,
    "/parts/best": overview.best,
    "/customers": customers.show,
    "/customers/{customer_id:int}": customers.profile,
    "/customers/{customer_id:int}/parts/timeline": customers.events,
    "/customers/{customer_id:int}/parts/orders": customers.orders,
    "/rfm": rfm.show,
    "/rfm/parts/moves": rfm.moves,
    "/retention": retention.show,
    "/churn": churn.show,
    "/churn/parts/at-stake": churn.at_stake,
    "/products": products.show,
    "/checkouts": checkouts.show,
    "/checkouts/parts/carts": checkouts.carts,
    "/segments": segments.show,
    "/segments/new": segments.new,
    "/segments/parts/follow": segments.follow,
    "/segments/{segment_id:int}": segments.detail,
    "/segments/{segment_id:int}/edit": segments.edit,
    "/segments/{segment_id:int}/parts/members": segments.members,
    "/data/parts/syncs": data.syncs,
    "/ledger": ledger.show,
    "/orders/{order_id:int}": ledger.order,
}

_STORE_FORMS: dict[str, tuple[Scope, Callable[[StoreVisit], Response]]] = {
    "/segments": (Scope.SEGMENTS, segments.create),
    "/segments/{segment_id:int}": (Scope.SEGMENTS, segments.change),
    "/data/sync": (Scope.SYNC, data.sync_now),
    "/segments/{segment_id:int}/remove": (Scope.SEGMENTS, segments.remove),
}


def build_dashboard(pool: ServingPool, settings: Settings) -> ASGIApp:
    """The application.

    Args:
        pool: of the login that a visitor's session unlocks.
        settings: where browsers reach it, and which sites may frame it.
    """
    is_secure = urlsplit(settings.insights_url).scheme == "https"
    cookies = Cookies(is_secure=is_secure, is_framed=bool(settings.frame_ancestors))
    endpoints = Endpoints(pool, cookies)
    routes: list[BaseRoute] = [
        Route(f"{STATIC_PREFIX}/{{version}}/{{name}}", static_files().serve),
        *SignIn(pool, cookies).routes(),
        Route("/", endpoints.page(stores.go_to_one)),
        Route("/stores", endpoints.page(stores.show)),
        Route("/stores/{store}/data", endpoints.store_page(partial(data.show, dagster_url=settings.dagster_url))),
        *(Route(f"/stores/{{store}}{path}", endpoints.store_page(page)) for path, page in _STORE_PAGES.items()),
        *(
            Route(f"/stores/{{store}}{path}", endpoints.form(handler, scope), methods=["POST"])
            for path, (scope, handler) in _STORE_FORMS.items()
        ),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=_SMALLEST_COMPRESSED)],
        exception_handlers=_failures(cookies),
    )
    app.router.redirect_slashes = False  # it would redirect to the host of the Host header
    return SecurityHeaders(app, settings.frame_ancestors or "")


def _failures(cookies: Cookies) -> dict[type[Exception] | int, Callable[[Request, Exception], Response]]:
    """What is answered where there is no page."""

    def not_found(request: Request, _error: Exception) -> Response:
        reader = Reader(request, cookies)
        return reader.message(reader.text("Not found"), reader.text("There is no such page."), 404)

    def forbidden(request: Request, error: Exception) -> Response:
        reader = Reader(request, cookies)
        return reader.message(reader.text("Not allowed"), str(error), 403)

    def unusable(request: Request, error: Exception) -> Response:
        reader = Reader(request, cookies)
        return reader.message(reader.text("That cannot be shown"), str(error), 400)

    def too_many(request: Request, _error: Exception) -> Response:
        reader = Reader(request, cookies)
        text = reader.text("Several long files are being made already. Try again in a minute.")
        return reader.message(reader.text("Not available"), text, 429)

    def unavailable(request: Request, _error: Exception) -> Response:
        reader = Reader(request, cookies)
        text = reader.text("The database does not answer. Try again in a minute.")
        return reader.message(reader.text("Not available"), text, 503)

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return not_found(request, error) if error.status_code == 404 else Response(error.detail, error.status_code)

    def unexpected(request: Request, error: Exception) -> Response:
        log.error("page failed", exc_info=error, extra={"page": getattr(request.scope.get("route"), "path", "")})
        reader = Reader(request, cookies)
        text = reader.text("Something went wrong on our side. It was noted; try again, or ask who runs this dashboard.")
        return reader.message(reader.text("Not available"), text, 500)

    return {
        NotFoundError: not_found,
        ForbiddenError: forbidden,
        MembersWithheldError: forbidden,
        UsageError: unusable,
        TooManyDownloadsError: too_many,
        DatabaseUnavailableError: unavailable,
        HTTPException: http_error,
        Exception: unexpected,
    }
