"""Segments: saved queries for customers, who is in them, and what a query would find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from xeno_pipeline.api.answers import Answer, ListAnswer
from xeno_pipeline.api.parameters import DEFAULT_PAGE, Cursor, Id, Limit, Text
from xeno_pipeline.api.problems import Kind, ProblemError, documented
from xeno_pipeline.api.store_request import StoreRequest, StoreRequestOf
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.paging import Page
from xeno_pipeline.insights.segments import (
    Membership,
    SavedSegment,
    SegmentMember,
    SegmentPreview,
    get_saved_segment,
    list_members,
    list_memberships,
    list_saved_segments,
    preview,
)
from xeno_pipeline.segments.compile import CompiledQuery, compile_query
from xeno_pipeline.segments.errors import SegmentError
from xeno_pipeline.segments.registry import remove_segment, save_segment, update_segment
from xeno_pipeline.segments.rules import rules_to_query

router = APIRouter(tags=["segments"])

OF_SEGMENT = documented(Kind.NOT_FOUND)
OF_MEMBERS = documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED)
CHANGES = documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED, Kind.CONFLICT)

QueryText = Annotated[Text, Field(min_length=1, max_length=20_000, description="In Shopify's segment query language.")]
Rules = Annotated[dict[str, Any], Field(description="The same as React Query Builder's JSON.")]
Name = Annotated[Text, Field(min_length=1, max_length=100)]
Description = Annotated[Text, Field(max_length=1_000)]


class SegmentQuery(BaseModel):
    """A query, in one of its two notations."""

    model_config = ConfigDict(extra="forbid")

    query: QueryText | None = None
    rules: Rules | None = None

    @model_validator(mode="after")
    def _is_one(self) -> SegmentQuery:
        if (self.query is None) == (self.rules is None):
            raise ValueError("give either query or rules")
        return self


class NewSegment(SegmentQuery):
    """A segment to be saved."""

    name: Name
    description: Description = ""


class SegmentChange(BaseModel):
    """What is to change of a segment; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    description: Description | None = None
    query: QueryText | None = None
    rules: Rules | None = None

    @model_validator(mode="after")
    def _has_one_query(self) -> SegmentChange:
        if self.query is not None and self.rules is not None:
            raise ValueError("give either query or rules")
        return self


@router.get("/stores/{store}/segments", response_model=Answer[list[SavedSegment]], responses=OF_SEGMENT)
def get_segments(request: StoreRequestOf) -> Response:
    """The saved segments, by name, with the figures of the last transform."""
    return request.answer(lambda connection: list_saved_segments(connection, request.store))


@router.post("/stores/{store}/segments", status_code=201, response_model=Answer[SavedSegment], responses=CHANGES)
def post_segment(request: StoreRequestOf, new: NewSegment) -> Response:
    """Save a segment. Its members are determined within seconds, by a transform of the store. Needs `segments`."""
    query = _compiled(new.query, new.rules)

    def change(connection: Connection) -> SavedSegment:
        with _conflicts():
            saved = save_segment(connection, request.store, new.name, query.query, new.description)
        return _existing(connection, request, saved.segment_id)

    return request.answer_change(
        change, *_needed(query), status=201, location=lambda segment: f"/segments/{segment.segment_id}"
    )


@router.post(
    "/stores/{store}/segments/preview",
    response_model=Answer[SegmentPreview],
    responses=documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED),
)
def post_preview(request: StoreRequestOf, asked: SegmentQuery) -> Response:
    """How many customers a query finds now, and their net sales; nothing is saved."""
    query = _compiled(asked.query, asked.rules)
    return request.answer(
        lambda connection: preview(connection, request.store, query),
        *(["people"] if query.uses_personal else []),
        has_etag=False,
    )


@router.get("/stores/{store}/segments/{segment_id}", response_model=Answer[SavedSegment], responses=OF_SEGMENT)
def get_one_segment(request: StoreRequestOf, segment_id: Id) -> Response:
    """A saved segment."""
    return request.answer(lambda connection: get_saved_segment(connection, request.store, segment_id))


@router.put("/stores/{store}/segments/{segment_id}", response_model=Answer[SavedSegment], responses=CHANGES)
def put_segment(request: StoreRequestOf, segment_id: Id, changed: SegmentChange) -> Response:
    """Change a segment. Needs the scope `segments`."""
    has_query = changed.query is not None or changed.rules is not None
    query = _compiled(changed.query, changed.rules) if has_query else None

    def change(connection: Connection) -> SavedSegment:
        _existing(connection, request, segment_id)
        with _conflicts():
            update_segment(
                connection,
                request.store,
                segment_id,
                name=changed.name,
                query=None if query is None else query.query,
                description=changed.description,
            )
        return _existing(connection, request, segment_id)

    return request.answer_change(change, *_needed(query))


@router.delete(
    "/stores/{store}/segments/{segment_id}",
    status_code=204,
    response_class=Response,
    responses=documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED),
)
def delete_segment(request: StoreRequestOf, segment_id: Id) -> Response:
    """Remove a segment; its history stays. Needs the scope `segments`."""
    with request.unlocked("segments", writes=True) as (connection, _):
        _existing(connection, request, segment_id)
        remove_segment(connection, request.store, segment_id)
    return Response(status_code=204, headers=request.caller.headers)


@router.get(
    "/stores/{store}/segments/{segment_id}/members", response_model=ListAnswer[SegmentMember], responses=OF_MEMBERS
)
def get_members(
    request: StoreRequestOf, segment_id: Id, cursor: Cursor = None, limit: Limit = DEFAULT_PAGE
) -> Response:
    """Who is in a segment, as of the last transform. With names: `customers?segment=`."""
    return _answer_list(request, segment_id, partial(list_members, cursor=cursor, limit=limit))


@router.get(
    "/stores/{store}/segments/{segment_id}/history", response_model=ListAnswer[Membership], responses=OF_MEMBERS
)
def get_history(
    request: StoreRequestOf, segment_id: Id, cursor: Cursor = None, limit: Limit = DEFAULT_PAGE
) -> Response:
    """Who joined a segment and who left it, the latest first."""
    return _answer_list(request, segment_id, partial(list_memberships, cursor=cursor, limit=limit))


def _answer_list(request: StoreRequest, segment_id: int, read: Callable[[Connection, str, int], Page[Any]]) -> Response:
    """A list of an existing segment, which a function reads of a store and the segment's id."""

    def make(connection: Connection) -> Page[Any]:
        _existing(connection, request, segment_id)
        return read(connection, request.store, segment_id)

    return request.answer(make)


@contextmanager
def _conflicts() -> Iterator[None]:
    """Problems of what is well-formed and cannot be saved beside what there is."""
    try:
        yield
    except SegmentError as error:
        raise ProblemError(Kind.CONFLICT, str(error)) from None
    except psycopg.errors.InsufficientPrivilege:  # revoked a moment ago
        raise ProblemError(Kind.NOT_FOUND, "The key sees no store of this handle any more.") from None


def _compiled(query: str | None, rules: dict[str, Any] | None) -> CompiledQuery:
    """The compiled query of either notation.

    Raises:
        SegmentQueryError: it is not in the language; positions in rules are those of the query that they stand for.
    """
    return compile_query(query if query is not None else rules_to_query(rules))


def _needed(query: CompiledQuery | None) -> list[str]:
    """The scopes that it takes to save a query: who is in a segment says what the query asks of people."""
    return ["segments", *(["people"] if query is not None and query.uses_personal else [])]


def _existing(connection: Connection, request: StoreRequest, segment_id: int) -> SavedSegment:
    found = get_saved_segment(connection, request.store, segment_id)
    if found is None:
        raise ProblemError(Kind.NOT_FOUND, f"{request.store} has no segment of this id.", "GET …/segments lists them.")
    return found
