"""Problem documents (RFC 9457): what went wrong, in the same words as the command line's, and what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

import psycopg
from pydantic import BaseModel, Field
from starlette.responses import Response

from xeno_pipeline.database.connection import DatabaseUnavailableError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong with a request."""

    type: str = Field(description="Which problem it is: a reference to its entry in this API's documentation.")
    title: str
    status: int
    detail: str
    remedy: str = Field(description="What to do about it.")
    position: int | None = Field(default=None, description="Of a segment's query: where, as an index from 0.")
    suggestion: str | None = Field(default=None, description="Of a segment's query: what could stand there instead.")
    errors: list[str] | None = Field(default=None, description="Of a request that cannot be used: each of its errors.")


class Kind(Enum):
    """Every problem that there is: its name, status, title, and what to do where nothing better is known."""

    NO_KEY = ("no-key", 401, "A key is needed", "Send the header `Authorization: Bearer xeno_…` with a key that works.")
    NOT_ALLOWED = ("not-allowed", 403, "The key may not do this", "Use a key that has the scope.")
    NOT_FOUND = ("not-found", 404, "There is no such thing", "Compare the address with this API's documentation.")
    WRONG_METHOD = ("wrong-method", 405, "This cannot be done here", "Use one of the methods in the header Allow.")
    NOT_READY = ("not-ready", 409, "The store has no marts yet", "Wait for its first sync to end.")
    CONFLICT = ("conflict", 409, "It conflicts with what there is", "Read what there is, and try again.")
    TOO_LARGE = ("too-large", 413, "The request is too large", "Send less.")
    UNUSABLE = ("unusable-request", 422, "The request cannot be used", "Correct what the errors name.")
    TOO_MANY = ("too-many-requests", 429, "Too many requests", "Wait as long as the header Retry-After says.")
    DEFECT = (
        "defect",
        500,
        "Something is broken here",
        "Report it to whoever operates this server, with the request id.",
    )
    NOT_INSTALLED = ("not-installed", 501, "It is not installed here", "Ask for CSV, which every server answers.")
    UNAVAILABLE = ("unavailable", 503, "The database is not available", "Try again in a moment.")
    TOO_SLOW = ("too-slow", 503, "The answer took too long", "Ask for a shorter period or a smaller page.")

    @property
    def anchor(self) -> str:
        """Its name in addresses."""
        return str(self.value[0])

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return int(self.value[1])

    @property
    def title(self) -> str:
        """What it is, whatever the request."""
        return str(self.value[2])

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return str(self.value[3])


class ProblemError(Exception):
    """A request that ends in a problem.

    Args:
        detail: what is the matter with this request.
        remedy: None for the one of the kind.
        headers: of the answer.
        errors, position, suggestion: see `Problem`.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        remedy: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[str] | None = None,
        position: int | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.headers = kind, dict(headers or {})
        self.document = Problem(
            type=f"/api/v1/docs#{kind.anchor}",
            title=kind.title,
            status=kind.status,
            detail=detail,
            remedy=remedy or kind.remedy,
            errors=errors,
            position=position,
            suggestion=suggestion,
        )

    def response(self) -> Response:
        """The answer."""
        headers = {**_USUAL_HEADERS.get(self.kind, {}), **self.headers, "Cache-Control": "no-store"}
        body = self.document.model_dump_json(exclude_none=True)
        return Response(body, self.kind.status, headers, media_type=MEDIA_TYPE)


DATABASE_AWAY = (psycopg.OperationalError, DatabaseUnavailableError)
"""What says that the database cannot be asked now."""


def unavailable(error: Exception) -> ProblemError:
    """The problem of a request that came while the database could not be asked."""
    log.warning("the database is not available", extra={"error": type(error).__name__})
    return ProblemError(Kind.UNAVAILABLE, "The database is not available.")


_USUAL_HEADERS = {
    Kind.NO_KEY: {"WWW-Authenticate": 'Bearer realm="xeno"'},
    Kind.UNAVAILABLE: {"Retry-After": "5"},
    Kind.TOO_SLOW: {"Retry-After": "30"},
}

_ALWAYS = (Kind.NO_KEY, Kind.TOO_MANY, Kind.UNUSABLE, Kind.UNAVAILABLE, Kind.TOO_SLOW, Kind.DEFECT)


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The problems of an operation for its description: those given, and those of every operation."""
    by_status: dict[int | str, list[str]] = {}
    for kind in sorted({*kinds, *_ALWAYS}, key=lambda kind: kind.status):
        by_status.setdefault(kind.status, []).append(kind.title)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "; or: ".join(titles), "content": content} for status, titles in by_status.items()}


OF_STORE = documented(Kind.NOT_FOUND, Kind.NOT_READY)
"""The problems of an operation that reads the marts of a store."""
