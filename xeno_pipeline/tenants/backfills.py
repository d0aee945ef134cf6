"""Tenants that were connected and are yet to be read: `ops.backfill_requests`.

The gateway writes a request; a sensor of Dagster's starts a run for all that are due; a run that reads the tenant takes
it back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from xeno_pipeline.database.connection import Connection

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60, 3600


def request(connection: Connection, tenant_id: str) -> None:
    """Ask for a tenant's store to be read."""
    connection.execute(
        """
        insert into ops.backfill_requests (tenant_id) values (%s)
        on conflict (tenant_id) do update set requested_at = default, attempts = default, due_at = default
        """,
        [tenant_id],
    )


def due(connection: Connection) -> Mapping[str, str]:
    """The active tenants that are to be read now, and for each what tells this attempt from all others."""
    rows = connection.execute(
        """
        select tenant_id, extract(epoch from requested_at) || '#' || attempts
        from ops.backfill_requests join ops.tenants using (tenant_id)
        where status = 'active' and due_at <= clock_timestamp()
        order by tenant_id
        """
    )
    return dict(rows.fetchall())


def begin(connection: Connection, tenant_ids: Collection[str]) -> None:
    """Note that a run begins to read tenants: until it takes their requests back they are due ever less often."""
    connection.execute(
        """
        update ops.backfill_requests
        set attempts = attempts + 1,
            due_at = clock_timestamp() + make_interval(secs => least(%s * 2.0 ^ least(attempts, 20), %s))
        where tenant_id = any(%s)
        """,
        [_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, list(tenant_ids)],
    )


def take_back(connection: Connection, tenant_ids: Collection[str]) -> None:
    """Note that tenants were read."""
    connection.execute("delete from ops.backfill_requests where tenant_id = any(%s)", [list(tenant_ids)])
