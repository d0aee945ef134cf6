"""The tenants that the last run of a job failed for: `ops.run_failures`, one row for each job and tenant."""

from __future__ import annotations

from collections.abc import Collection

from xeno_pipeline.database.connection import Connection


def record_failure(connection: Connection, job: str, run_id: str, tenant_id: str, reason: str) -> None:
    """Record why a run failed for a tenant, unless the tenant is unknown or removed.

    Args:
        reason: without the tenant's name and without personal data.
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
    """Delete the failures of tenants that a run of the job succeeded for."""
    connection.execute("delete from ops.run_failures where job = %s and tenant_id = any(%s)", [job, list(tenant_ids)])
