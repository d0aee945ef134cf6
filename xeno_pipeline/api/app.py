"""The API as an ASGI application, to be served alone or mounted beside others."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.api.documentation import page
from xeno_pipeline.api.etags import WITHOUT_ETAG
from xeno_pipeline.api.problems import DATABASE_AWAY, Kind, Problem, ProblemError, unavailable
from xeno_pipeline.api.rate_limits import RateLimits
from xeno_pipeline.api.routes import customers, exports, orders, segments, stores, syncs
from xeno_pipeline.api.shortcut import Shortcut
from xeno_pipeline.api.store_request import Backend
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.stores import NotModelledError
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.members import MembersWithheldError
from xeno_pipeline.settings import Settings

PATH = "/api/v1"
"""Where it is mounted."""

log = logging.getLogger(__name__)

_REMEDY_OF_QUERY = "Correct the query at the position (counted from 0)."

_ABOUT = """
Figures, customers and segments of Shopify stores. Every request has a key: `Authorization: Bearer xeno_…`.
Money is a string of digits in the shop's currency, a day is one of the shop's, a period includes both of its days.
An answer has an ETag: send it as `If-None-Match`, and what has not changed is answered by 304.
"""


def build_api(pool: ServingPool, settings: Settings) -> ASGIApp:
    """The API.

    Args:
        pool: connections that each request unlocks by its own key.
    """
    api = FastAPI(
        title="xeno insights",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to the host of the Host header
    )
    backend = Backend(pool, RateLimits(settings.insights_requests_per_minute))
    api.state.backend = backend
    for routes in (stores, customers, orders, segments, syncs, exports):
        api.include_router(routes.router)
    api.add_route("/docs", _documentation(api))
    for error, handler in _HANDLERS.items():
        api.add_exception_handler(error, handler)
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return Shortcut(api, backend)


def _openapi(api: FastAPI) -> dict[str, Any]:
    """The description, with the schema of problems, which the operations refer to."""
    if api.openapi_schema is None:
        schema = get_openapi(
            title=api.title,
            version=api.version,
            description=api.description,
            routes=api.routes,
            servers=[{"url": PATH}],
        )
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        for path, operations in schema["paths"].items():
            if "get" in operations and "{store}" in path:
                _document_etag(operations["get"])
        api.openapi_schema = schema
    return api.openapi_schema


def _document_etag(operation: dict[str, Any]) -> None:
    if not any(operation.pop(name, False) for name in WITHOUT_ETAG):
        operation["responses"]["304"] = {"description": "Nothing has changed since the ETag of If-None-Match."}


def _documentation(api: FastAPI) -> Any:
    def documentation(_request: Request) -> Response:
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        return HTMLResponse(page(api.openapi(), PATH), headers={"Content-Security-Policy": policy})

    return documentation


def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


def _unusable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [f"{'.'.join(str(place) for place in each['loc'][1:])}: {each['msg']}" for each in error.errors()]
    return ProblemError(Kind.UNUSABLE, "The request cannot be used as it is.", errors=errors).response()


def _usage(_request: Request, error: Exception) -> Response:
    detail, _, remedy = str(error).partition(": ")
    return ProblemError(Kind.UNUSABLE, f"{detail.rstrip('.')}.", _sentence(remedy)).response()


def _wrong_query(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SegmentQueryError)
    problem = ProblemError(
        Kind.UNUSABLE, str(error), _REMEDY_OF_QUERY, position=error.position, suggestion=error.suggestion
    )
    return problem.response()


def _withheld(_request: Request, error: Exception) -> Response:
    return ProblemError(Kind.NOT_ALLOWED, str(error)).response()


def _not_ready(_request: Request, error: Exception) -> Response:
    return ProblemError(Kind.NOT_READY, "The store has no marts yet.").response()


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds = {404: Kind.NOT_FOUND, 405: Kind.WRONG_METHOD}
    kind = kinds.get(error.status_code, Kind.UNUSABLE)
    return ProblemError(kind, f"{kind.title}.", headers=error.headers).response()


def _unavailable(_request: Request, error: Exception) -> Response:
    return unavailable(error).response()


def _too_slow(_request: Request, _error: Exception) -> Response:
    return ProblemError(Kind.TOO_SLOW, "The database was still at it when the time for an answer was over.").response()


def _sentence(text: str) -> str | None:
    return text[:1].upper() + text[1:] if text else None


_HANDLERS: dict[type[Exception], Any] = {
    ProblemError: _problem,
    RequestValidationError: _unusable,
    SegmentQueryError: _wrong_query,
    MembersWithheldError: _withheld,
    UsageError: _usage,
    NotModelledError: _not_ready,
    HTTPException: _http,
    psycopg.errors.QueryCanceled: _too_slow,
    **dict.fromkeys(DATABASE_AWAY, _unavailable),
}
