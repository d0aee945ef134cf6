"""Tenants that were connected and are yet to be read: `ops.backfill_requests`.

The gateway writes a request; a sensor of Dagster's starts a run for all that are due, and the run settles them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from xeno_pipeline.warehouse.connection import Connection

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60, 3600


@dataclass(frozen=True)
class DueBackfills:
    """What is due.

    Args:
        tenant_ids: the active tenants that are to be read.
        oldest: when the oldest request was made, in microseconds since 1970, and how often it was tried; None where
            nothing is due.
    """

    tenant_ids: Sequence[str]
    oldest: tuple[int, int] | None


def request(connection: Connection, tenant_id: str) -> None:
    """Ask for a tenant's store to be read."""
    connection.execute(
        """
        insert into ops.backfill_requests (tenant_id) values (%s)
        on conflict (tenant_id) do update set requested_at = default, attempts = default, due_at = default
        """,
        [tenant_id],
    )


def due(connection: Connection) -> DueBackfills:
    """The active tenants that are to be read now."""
    rows = connection.execute(
        """
        select tenant_id, (extract(epoch from requested_at) * 1000000)::bigint, attempts
        from ops.backfill_requests join ops.tenants using (tenant_id)
        where status = 'active' and due_at <= clock_timestamp()
        order by requested_at
        """
    ).fetchall()
    return DueBackfills([row[0] for row in rows], rows[0][1:] if rows else None)


def settle(connection: Connection, landed: Collection[str], failed: Collection[str]) -> None:
    """Note which tenants a run has read, and which it could not read: these are tried again, ever less often."""
    connection.execute("delete from ops.backfill_requests where tenant_id = any(%s)", [list(landed)])
    connection.execute(
        """
        update ops.backfill_requests
        set attempts = attempts + 1,
            due_at = clock_timestamp() + make_interval(secs => least(%s * 2.0 ^ least(attempts, 20), %s))
        where tenant_id = any(%s)
        """,
        [_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, list(failed)],
    )
