"""Syncs of a store: requesting one, and how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.streams import STREAM_NAMES, check_streams
from xeno_pipeline.insights.model import Model, fetch_all, fetch_one
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Row, Where, read_page
from xeno_pipeline.tenants import syncs

_MOST_SYNC_IDS = 2**63 - 1
_LISTING = Listing("syncs", "ops.syncs", "sync_id", "bigint", {"sync_id": "bigint"}, "-sync_id")

_SECONDS_BETWEEN_POLLS = 1.0
_SECONDS_BETWEEN_HEARTBEATS = 15.0
_SECONDS_TO_FOLLOW = 3600.0

_SYNCS = """
    select
        syncs.sync_id, tenant_id as store, kind, is_full as full, streams, requested_by, requested_at, state,
        started_at, finished_at, syncs.reason, coalesce(progress.of_streams, '[]') as progress,
        case when state = 'queued' then extract(epoch from clock_timestamp() - requested_at)::float8 end
            as seconds_queued,
        (
            extract(epoch from greatest(requested_at, started_at, finished_at, progress.updated_at)) * 1000000
        )::bigint as version
    from ops.syncs
    left join lateral (
        select
            max(updated_at) as updated_at,
            json_agg(
                json_build_object(
                    'stream', stream, 'phase', phase, 'records', records, 'total', total, 'reason', reason,
                    'started_at', started_at, 'updated_at', updated_at
                )
                order by stream
            ) as of_streams
        from ops.sync_progress
        where sync_progress.sync_id = syncs.sync_id
    ) progress on true
    """


class UnknownSyncError(XenoError):
    """A store has no sync of that id."""


class StreamProgress(Model):
    """How far the sync of one stream is."""

    stream: str
    phase: str = Field(
        description="`waiting` for Shopify, `collecting` there, `downloading`, `loading` or `reading`; at last `done` "
        "or `failed`."
    )
    records: int = Field(
        description="Objects so far; while a result is loaded, its lines, children included; rows, once it is done."
    )
    total: int | None = Field(description="Of how many; null where it is not known.")
    reason: str | None = Field(description="Why it failed.")
    started_at: datetime
    updated_at: datetime


class Sync(Model):
    """A sync of a store."""

    sync_id: int
    store: str
    kind: Literal["request", "first_read", "run"] = Field(
        description="`request`: it was asked for. `first_read`: the store was connected; it is retried until it "
        "succeeds. `run`: a schedule or an operator started it."
    )
    full: bool = Field(description="Whether the history is read again.")
    streams: list[str] = Field(description="Empty: all.")
    requested_by: str
    requested_at: datetime
    state: Literal["queued", "running", "succeeded", "failed", "refused"] = Field(
        description="`succeeded`: the marts show what was read. While it is `running` and all of its streams are "
        "`done`, the marts are being updated."
    )
    seconds_queued: float | None = Field(description="While it is queued: for how long.")
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None = Field(description="Why it failed or was refused.")
    progress: list[StreamProgress]
    version: int = Field(description="When it last changed, in microseconds since 1970.")

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return self.finished_at is not None


class SyncEvent(Model):
    """A sync as it was when it had changed."""

    id: str = Field(description="Equal for equal states: a client names the last one that it has seen.")
    sync: Sync


def request_sync(
    connection: Connection, tenant_id: str, *, full: bool = False, streams: Sequence[str] = (), by: str
) -> Sync:
    """Request a sync; a run for it starts within seconds where Dagster's daemon runs.

    A store has one requested sync at a time: while one is queued or running that reads as much, that one is the answer.

    Args:
        connection: the owner's, or one of `xeno_serving` that is unlocked for the scopes `read` and `sync`; it may
            write.
        full: read the history again, and mark what Shopify no longer has as deleted.
        streams: names of streams; all where empty.
        by: who asks, such as `key nightly`; every reader of the store's syncs sees it.

    Raises:
        SyncConflictError: one is queued or running that reads less.
        UsageError: there is no such tenant or stream.
    """
    names = check_streams(streams)
    sync_id = syncs.request(connection, tenant_id, is_full=full, streams=() if names == STREAM_NAMES else names, by=by)
    return read_sync(connection, tenant_id, sync_id)


def list_syncs(
    connection: Connection, tenant_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Sync]:
    """The syncs of a store, the latest first, whatever started them.

    Raises:
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """

    def make(rows: list[Row]) -> list[Sync]:
        query = f"{_SYNCS} where tenant_id = %(tenant_id)s and syncs.sync_id = any(%(ids)s) order by syncs.sync_id desc"
        return fetch_all(connection, Sync, query, {"tenant_id": tenant_id, "ids": [row["sync_id"] for row in rows]})

    return read_page(connection, _LISTING, tenant_id, make, Where(), cursor=cursor, limit=limit)


def read_sync(connection: Connection, tenant_id: str, sync_id: int) -> Sync:
    """One sync of a store.

    Raises:
        UnknownSyncError: the store has none of that id.
    """
    query = f"{_SYNCS} where tenant_id = %(tenant_id)s and syncs.sync_id = %(sync_id)s"
    bound = {"tenant_id": tenant_id, "sync_id": sync_id}
    found = fetch_one(connection, Sync, query, bound) if 0 < sync_id <= _MOST_SYNC_IDS else None
    if found is None:
        raise UnknownSyncError(f"{tenant_id}: there is no sync {sync_id}; the list of the store's syncs has all.")
    return found


def event_of(sync: Sync) -> SyncEvent:
    """A sync with what identifies its state."""
    return SyncEvent(id=f"{sync.version}-{sync.state}", sync=sync)


async def follow_sync(
    read: Callable[[], Sync],
    *,
    last_event_id: str | None = None,
    seconds_between: float = _SECONDS_BETWEEN_POLLS,
    seconds_between_heartbeats: float = _SECONDS_BETWEEN_HEARTBEATS,
    at_most_seconds: float = _SECONDS_TO_FOLLOW,
) -> AsyncIterator[SyncEvent | None]:
    """Follow a sync to its end, by reading it again and again.

    Args:
        read: reads it, with a connection that it gives back; called in another thread, so that nothing waits for it.
        last_event_id: of the last event that the client has seen: that is not repeated.
        seconds_between: from one read to the next.
        seconds_between_heartbeats: after so long without a change comes a None.
        at_most_seconds: then it ends before the sync does; a client follows again from the last event.

    Yields:
        The sync, whole, whenever it has changed; None as a sign of life.
    """
    seen, ends_at = last_event_id, time.monotonic() + at_most_seconds
    sent_at = time.monotonic()
    while True:
        event = event_of(await asyncio.to_thread(read))
        if event.id != seen:
            yield event
            seen, sent_at = event.id, time.monotonic()
        if event.sync.is_finished or time.monotonic() >= ends_at:
            return
        if time.monotonic() >= sent_at + seconds_between_heartbeats:
            yield None
            sent_at = time.monotonic()
        await asyncio.sleep(seconds_between)
