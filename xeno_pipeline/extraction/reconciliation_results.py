"""What the last reconciliation of each (tenant, stream) found: `ops.reconciliations`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.tenant_lock import lock_against_removal

_NIGHT_BEGINS, _NIGHT_ENDS = 3, 7
"""Hours of the shop's clock: the first is the rule, the later ones make up for a machine that was off."""

_COLUMNS = (
    *("tenant_id", "stream", "night", "started_at", "finished_at", "read_in_full_at", "at_shopify", "in_raw"),
    *("windows", "windows_differing", "read_again", "deleted", "refreshed", "customers_differing", "error"),
)


@dataclass
class Reconciliation:
    """One comparison of a stream; the columns of `ops.reconciliations` say what each figure is."""

    tenant_id: str
    stream: str
    night: date
    started_at: datetime
    finished_at: datetime | None = None
    read_in_full_at: datetime | None = None
    at_shopify: int | None = None
    in_raw: int | None = None
    windows: int = 0
    windows_differing: int = 0
    read_again: int = 0
    deleted: int = 0
    refreshed: int = 0
    customers_differing: int | None = None
    error: str | None = None


def due_tenants(connection: Connection) -> list[str]:
    """The active tenants in whose shop it is night, and that were not reconciled tonight."""
    rows = connection.execute(
        """
        select tenant_id
        from ops.tenants
        cross join lateral (select ops.local_time(now(), iana_timezone) as local_time) as clock
        where status = 'active'
        and extract(hour from local_time) >= %s and extract(hour from local_time) < %s
        and exists (
            select from ops.sync_state state
            where state.tenant_id = tenants.tenant_id and state.history_loaded_at is not null
        )
        and not exists (
            select from ops.reconciliations last
            where last.tenant_id = tenants.tenant_id and last.night >= local_time::date
        )
        order by tenant_id
        """,
        [_NIGHT_BEGINS, _NIGHT_ENDS],
    )
    return [tenant_id for (tenant_id,) in rows]


def latest_of(connection: Connection, tenant_ids: Sequence[str]) -> list[Reconciliation]:
    """The last reconciliations of tenants, by tenant and stream."""
    cursor = connection.cursor(row_factory=class_row(Reconciliation))
    query = f"select {', '.join(_COLUMNS)} from ops.reconciliations where tenant_id = any(%s) order by 1, 2"
    return cursor.execute(query, [list(tenant_ids)]).fetchall()


def save(connection: Connection, found: Reconciliation) -> None:
    """Keep what a reconciliation found, in place of the last one's; when all ids were last read stays known.

    Raises:
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, found.tenant_id)
    values = ", ".join(f"%({name})s" for name in _COLUMNS)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "read_in_full_at")
    connection.execute(
        f"""
        insert into ops.reconciliations as last ({", ".join(_COLUMNS)}, failing_since)
        values ({values}, case when %(error)s::text is not null then now() end)
        on conflict (tenant_id, stream) do update
        set {assignments},
            read_in_full_at = coalesce(excluded.read_in_full_at, last.read_in_full_at),
            failing_since = case when excluded.error is not null then coalesce(last.failing_since, now()) end
        """,
        vars(found),
    )
