"""How fresh what was read of a store is, stream by stream."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Model, fetch_all


class StreamFreshness(Model):
    """When a stream was last read to its end."""

    stream: str
    read_at: datetime | None = Field(description="When it was last read to its end.")
    records: int | None = Field(description="Objects that were read then: of an incremental sync, those that changed.")
    failed_at: datetime | None = Field(description="When it failed, where that was later.")
    reason: str | None = Field(description="Why it failed then.")


_FRESHNESS = """
    with
        progress as (
            select stream, phase, records, sync_progress.reason, sync_progress.updated_at
            from ops.sync_progress
            join ops.syncs using (tenant_id, sync_id)
            where tenant_id = %(tenant_id)s and phase in ('done', 'failed')
        ),
        done as (
            select distinct on (stream) stream, records, updated_at as read_at
            from progress where phase = 'done' order by stream, updated_at desc
        ),
        failed as (
            select distinct on (stream) stream, reason, updated_at as failed_at
            from progress where phase = 'failed' order by stream, updated_at desc
        )
    select
        stream, read_at, records,
        case when failed_at > read_at or read_at is null then failed_at end as failed_at,
        case when failed_at > read_at or read_at is null then reason end as reason
    from done
    full join failed using (stream)
    order by stream
    """


def stream_freshness(connection: Connection, tenant_id: str) -> list[StreamFreshness]:
    """The streams of a store that any known sync has read, by name."""
    return fetch_all(connection, StreamFreshness, _FRESHNESS, {"tenant_id": tenant_id})
