"""Stores that were connected and have not been loaded yet: `ops.backfill_requests`.

The gateway adds a request, a sensor starts a run for all requests that are due, and the run completes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.retry_queue import Backoff

_BACKOFF = Backoff(first_seconds=60, longest_seconds=3600)


def request(connection: Connection, tenant_id: str) -> None:
    """Request that a tenant's history be loaded."""
    connection.execute(
        """
        insert into ops.backfill_requests (tenant_id) values (%s)
        on conflict (tenant_id) do update set requested_at = default, attempts = default, due_at = default
        """,
        [tenant_id],
    )


def due(connection: Connection) -> Mapping[str, str]:
    """The active tenants whose requests are due, each with an identifier of this attempt."""
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
    """Count an attempt for each tenant: until its request is completed, it is due again after a growing pause."""
    connection.execute(
        f"update ops.backfill_requests set {_BACKOFF.assignments} where tenant_id = any(%s)", [list(tenant_ids)]
    )


def complete(connection: Connection, tenant_ids: Collection[str]) -> None:
    """Delete the requests of tenants that were loaded."""
    connection.execute("delete from ops.backfill_requests where tenant_id = any(%s)", [list(tenant_ids)])
