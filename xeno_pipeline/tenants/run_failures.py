"""With which tenants runs failed: `ops.run_failures`, one row for each job and tenant until a run of it does not."""

from __future__ import annotations

from collections.abc import Collection

from xeno_pipeline.database.connection import Connection


def record_failure(connection: Connection, job: str, run_id: str, tenant_id: str, reason: str) -> None:
    """Keep why a run failed with a tenant; of one that is unknown or removed nothing is kept.

    Args:
        connection: to the database.
        job: the run's.
        run_id: which run.
        tenant_id: with whom.
        reason: why, without the tenant's name and anything personal.
    """
    connection.execute(
        """
        insert into ops.run_failures as last (job, tenant_id, reason, run_id)
        select %(job)s, tenant_id, left(%(reason)s, 2000), %(run_id)s
        from ops.tenants where tenant_id = %(tenant_id)s and status <> 'removed'
        on conflict (job, tenant_id) do update
        set reason = excluded.reason, run_id = excluded.run_id, failed_at = now()
        """,
        {"job": job, "tenant_id": tenant_id, "reason": reason, "run_id": run_id},
    )


def clear_failures(connection: Connection, job: str, tenant_ids: Collection[str]) -> None:
    """Note that a run of a job did not fail with tenants."""
    connection.execute("delete from ops.run_failures where job = %s and tenant_id = any(%s)", [job, list(tenant_ids)])
