"""What is known of a (tenant, stream) between syncs: `ops.sync_state`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from xeno_pipeline.warehouse.connection import Connection


@dataclass(frozen=True)
class SyncState:
    """How far a stream of a tenant has been read.

    Args:
        cursor_at: every change up to this instant, by the shop's clock, is in raw.
        query_version: what selection the history was read with.
        history_loaded_at: when the history was loaded whole; None until then.
        synced_at: when a sync last came to its end.
        bulk_operation_id: a bulk operation under way whose result is not loaded yet.
    """

    cursor_at: datetime | None = None
    query_version: int | None = None
    history_loaded_at: datetime | None = None
    synced_at: datetime | None = None
    bulk_operation_id: str | None = None


def load_state(connection: Connection, tenant_id: str, stream: str) -> SyncState:
    """The state of a stream; a fresh one where it was never read."""
    cursor = connection.cursor(row_factory=class_row(SyncState))
    query = """
        select cursor_at, query_version, history_loaded_at, synced_at, bulk_operation_id
        from ops.sync_state where tenant_id = %s and stream = %s
        """
    return cursor.execute(query, [tenant_id, stream]).fetchone() or SyncState()


def load_states(connection: Connection, tenant_id: str) -> dict[str, SyncState]:
    """The states of all streams of a tenant that were ever read, by name."""
    names = connection.execute("select stream from ops.sync_state where tenant_id = %s order by 1", [tenant_id])
    return {name: load_state(connection, tenant_id, name) for (name,) in names.fetchall()}


def remember_bulk_operation(connection: Connection, tenant_id: str, stream: str, operation_id: str | None) -> None:
    """Note the bulk operation that the next sync is to adopt, should this one die; None forgets it."""
    connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, bulk_operation_id) values (%s, %s, %s)
        on conflict (tenant_id, stream) do update set bulk_operation_id = excluded.bulk_operation_id
        """,
        [tenant_id, stream, operation_id],
    )


def history_was_loaded(
    connection: Connection,
    tenant_id: str,
    stream: str,
    *,
    cursor_at: datetime,
    query_version: int,
    visible_since: datetime | None,
) -> None:
    """Note, in the transaction that writes its rows, that the history is in."""
    connection.execute(
        """
        insert into ops.sync_state
            (tenant_id, stream, cursor_at, query_version, history_loaded_at, history_since)
        values (%s, %s, %s, %s, now(), %s)
        on conflict (tenant_id, stream) do update
        set cursor_at = excluded.cursor_at, query_version = excluded.query_version,
            history_loaded_at = excluded.history_loaded_at, history_since = excluded.history_since,
            bulk_operation_id = null
        """,
        [tenant_id, stream, cursor_at, query_version, visible_since],
    )


def was_synced(connection: Connection, tenant_id: str, stream: str) -> None:
    """Note that a sync of the stream came to its end."""
    connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, synced_at) values (%s, %s, now())
        on conflict (tenant_id, stream) do update set synced_at = excluded.synced_at
        """,
        [tenant_id, stream],
    )


def advance_cursor(connection: Connection, tenant_id: str, stream: str, cursor_at: datetime) -> None:
    """Note, in the transaction that writes their rows, that all changes up to an instant are in."""
    connection.execute(
        """
        update ops.sync_state set cursor_at = greatest(cursor_at, %s) where tenant_id = %s and stream = %s
        """,
        [cursor_at, tenant_id, stream],
    )
