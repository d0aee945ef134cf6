"""What is known of a (tenant, stream) between syncs: `ops.sync_state`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.tenant_lock import lock_against_removal

OVERLAP = timedelta(minutes=5)
"""How far before its cursor a read of changes begins: Shopify's search index lags behind its objects."""


@dataclass(frozen=True)
class SyncState:
    """How far a stream of a tenant has been read.

    Args:
        cursor_at: every change up to this instant, by the shop's clock, is in raw.
        query_version: what selection the history was read with.
        history_loaded_at: when the history was loaded whole; None until then.
        synced_at: when a sync last came to its end.
        asked_at: when that sync began to ask: it saw all that had changed well before.
        bulk_operation_id: a bulk operation under way whose result is not loaded yet.
        bulk_failures: how many bulk operations of its history failed in a row.
    """

    cursor_at: datetime | None = None
    query_version: int | None = None
    history_loaded_at: datetime | None = None
    synced_at: datetime | None = None
    asked_at: datetime | None = None
    bulk_operation_id: str | None = None
    bulk_failures: int = 0


def load_state(connection: Connection, tenant_id: str, stream: str) -> SyncState:
    """The state of a stream; a fresh one where it was never read."""
    cursor = connection.cursor(row_factory=class_row(SyncState))
    query = """
        select cursor_at, query_version, history_loaded_at, synced_at, asked_at, bulk_operation_id, bulk_failures
        from ops.sync_state where tenant_id = %s and stream = %s
        """
    return cursor.execute(query, [tenant_id, stream]).fetchone() or SyncState()


def load_states(connection: Connection, tenant_id: str) -> dict[str, SyncState]:
    """The states of all streams of a tenant that were ever read, by name."""
    query = """
        select stream, cursor_at, query_version, history_loaded_at, synced_at, asked_at, bulk_operation_id,
            bulk_failures
        from ops.sync_state where tenant_id = %s order by stream
        """
    return {name: SyncState(*state) for name, *state in connection.execute(query, [tenant_id])}


def with_history(connection: Connection) -> set[str]:
    """The tenants of which the history of some stream was loaded, and so of which changes are read by the hour."""
    query = "select distinct tenant_id from ops.sync_state where history_loaded_at is not null"
    return {tenant_id for (tenant_id,) in connection.execute(query)}


def remember_bulk_operation(connection: Connection, tenant_id: str, stream: str, operation_id: str | None) -> None:
    """Note the bulk operation that the next sync is to adopt, should this one die; None forgets it.

    Raises:
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, tenant_id)
    connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, bulk_operation_id) values (%s, %s, %s)
        on conflict (tenant_id, stream) do update set bulk_operation_id = excluded.bulk_operation_id
        """,
        [tenant_id, stream, operation_id],
    )


def record_bulk_failure(connection: Connection, tenant_id: str, stream: str) -> int:
    """Forget the bulk operation of a history, which brought nothing.

    Returns:
        How many did so in a row, this one included.
    """
    row = connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, bulk_failures) values (%s, %s, 1)
        on conflict (tenant_id, stream) do update
        set bulk_failures = sync_state.bulk_failures + 1, bulk_operation_id = null
        returning bulk_failures
        """,
        [tenant_id, stream],
    ).fetchone()
    assert row is not None
    failures: int = row[0]
    return failures


def record_bulk_success(connection: Connection, tenant_id: str, stream: str) -> None:
    """Note, in the transaction that writes its rows, that the result of the bulk operation is loaded."""
    connection.execute(
        """
        update ops.sync_state set bulk_failures = 0, bulk_operation_id = null where tenant_id = %s and stream = %s
        """,
        [tenant_id, stream],
    )


def record_history_loaded(
    connection: Connection,
    tenant_id: str,
    stream: str,
    *,
    cursor_at: datetime,
    query_version: int,
    visible_since: datetime | None,
) -> None:
    """Note, in the transaction that writes its rows, that the history is in.

    Raises:
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, tenant_id)
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


def record_synced(connection: Connection, tenant_id: str, streams: Sequence[str], asked_at: datetime) -> None:
    """Note that a sync of the streams came to its end.

    Args:
        asked_at: before it asked Shopify for the first time.

    Raises:
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, tenant_id)
    connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, synced_at, asked_at) select %s, unnest(%s::text[]), now(), %s
        on conflict (tenant_id, stream) do update set synced_at = excluded.synced_at, asked_at = excluded.asked_at
        """,
        [tenant_id, list(streams), asked_at],
    )


def advance_cursor(connection: Connection, tenant_id: str, stream: str, cursor_at: datetime) -> None:
    """Note, in the transaction that writes their rows, that all changes up to an instant are in."""
    connection.execute(
        """
        insert into ops.sync_state (tenant_id, stream, cursor_at) values (%s, %s, %s)
        on conflict (tenant_id, stream) do update set cursor_at = greatest(sync_state.cursor_at, excluded.cursor_at)
        """,
        [tenant_id, stream, cursor_at],
    )
