"""Syncs: requesting one, and how far each is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Literal

import psycopg
from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from xeno_pipeline.access.secret import secret_hash
from xeno_pipeline.api import event_streams
from xeno_pipeline.api.answers import Answer, ListAnswer
from xeno_pipeline.api.etags import WITHOUT_ETAG
from xeno_pipeline.api.parameters import DEFAULT_PAGE, Cursor, Id, Limit
from xeno_pipeline.api.problems import Kind, ProblemError, documented
from xeno_pipeline.api.store_request import StoreRequest, StoreRequestOf
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.extraction.streams import STREAM_NAMES
from xeno_pipeline.insights.syncs import (
    Sync,
    UnknownSyncError,
    event_of,
    follow_sync,
    list_syncs,
    read_sync,
    request_sync,
)
from xeno_pipeline.tenants.syncs import SyncConflictError

router = APIRouter(tags=["syncs"])

if TYPE_CHECKING:
    StreamName = str
else:
    StreamName = Literal[STREAM_NAMES]

_MOST_STREAMS = 10


class SyncOrder(BaseModel):
    """What to read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    full: bool = Field(
        default=False, description="Read the history again, and mark what Shopify no longer has as deleted."
    )
    streams: list[StreamName] = Field(
        default_factory=list, max_length=_MOST_STREAMS, description="Only these; empty: all."
    )


@router.post(
    "/stores/{store}/syncs",
    status_code=202,
    response_model=Answer[Sync],
    responses=documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED, Kind.CONFLICT),
)
def post_sync(request: StoreRequestOf, order: SyncOrder | None = None) -> Response:
    """Request a sync, which begins within seconds. Needs the scope `sync`.

    A store has one requested sync at a time: while one is queued or running that reads as much, that one is the answer.
    """
    wanted = order or SyncOrder()

    def change(connection: Connection) -> Sync:
        by = str(request.caller.request.state.subject)
        try:
            return request_sync(connection, request.store, full=wanted.full, streams=wanted.streams, by=by)
        except SyncConflictError as conflict:
            raise ProblemError(
                Kind.CONFLICT,
                f"The sync {conflict.sync_id} is queued or running, and reads less than this one would.",
                "Request it again when that one has finished.",
            ) from None
        except psycopg.errors.InsufficientPrivilege:  # suspended, or revoked, a moment ago
            raise ProblemError(Kind.NOT_FOUND, "The key sees no store of this handle any more.") from None

    return request.answer_change(change, "sync", status=202, location=lambda sync: f"/syncs/{sync.sync_id}")


@router.get(
    "/stores/{store}/syncs",
    response_model=ListAnswer[Sync],
    responses=documented(Kind.NOT_FOUND),
    openapi_extra=WITHOUT_ETAG,
)
def get_syncs(request: StoreRequestOf, cursor: Cursor = None, limit: Limit = DEFAULT_PAGE) -> Response:
    """The syncs of the last weeks, whatever started them, the latest first; without those that found nothing new."""
    return request.answer(
        lambda connection: list_syncs(connection, request.store, cursor=cursor, limit=limit), has_etag=False
    )


@router.get(
    "/stores/{store}/syncs/{sync_id}",
    response_model=Answer[Sync],
    responses=documented(Kind.NOT_FOUND),
    openapi_extra=WITHOUT_ETAG,
)
def get_one_sync(request: StoreRequestOf, sync_id: Id) -> Response:
    """A sync: its state, and how far each stream is."""
    return request.answer(lambda connection: _sync(connection, request.store, sync_id), has_etag=False)


@router.get(
    "/stores/{store}/syncs/{sync_id}/events",
    response_class=Response,
    openapi_extra=WITHOUT_ETAG,
    responses={
        **documented(Kind.NOT_FOUND),
        200: {"description": "The sync, whenever it has changed.", "content": {event_streams.MEDIA_TYPE: {}}},
        204: {"description": "The sync has ended, and the client knows that."},
    },
)
def get_sync_events(
    request: StoreRequestOf,
    sync_id: Id,
    last_event_id: Annotated[
        str | None, Header(max_length=100, description="The id of the last event that was received.")
    ] = None,
) -> Response:
    """A sync as server-sent events: `progress` whenever it has changed, and `end` when it has ended.

    The data of each is the sync as GET of it has it. A stream ends after an hour at the latest; browsers connect again.
    """
    sync = _read(request, sync_id)
    if sync.is_finished and event_of(sync).id == last_event_id:
        return Response(status_code=204, headers=request.caller.headers)  # EventSource does not connect again then
    caller = request.caller
    key = secret_hash(caller.secret).hex()
    return caller.backend.streams.answer(key, _events(request, sync_id, last_event_id), caller.headers)


async def _events(request: StoreRequest, sync_id: int, last_event_id: str | None) -> AsyncIterator[str]:
    longest = request.caller.backend.streams.longest_seconds
    followed = follow_sync(lambda: _read(request, sync_id), last_event_id=last_event_id, at_most_seconds=longest)
    try:
        async for each in followed:
            if each is None:
                yield event_streams.HEARTBEAT
            else:
                name = "end" if each.sync.is_finished else "progress"
                yield event_streams.event(name, each.sync.model_dump_json(), each.id)
    except ProblemError as problem:  # the key was revoked, or the store suspended
        yield event_streams.event("problem", problem.document.model_dump_json(exclude_none=True))


def _read(request: StoreRequest, sync_id: int) -> Sync:
    """The sync, by a connection that is given back.

    Raises:
        ProblemError: it cannot be seen, or not any more.
    """
    with request.unlocked() as (connection, _):
        return _sync(connection, request.store, sync_id)


def _sync(connection: Connection, store: str, sync_id: int) -> Sync:
    try:
        return read_sync(connection, store, sync_id)
    except UnknownSyncError:
        raise ProblemError(
            Kind.NOT_FOUND, f"{store} has no sync {sync_id}.", "The list of its syncs has the ids there are."
        ) from None
