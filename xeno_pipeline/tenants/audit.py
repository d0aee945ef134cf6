"""The audit log, `ops.audit_log`: what the system did to a tenant by itself, and why."""

from __future__ import annotations

from xeno_pipeline.database.connection import Connection


def record(connection: Connection, tenant_id: str, action: str, reason: str) -> None:
    """Write down what is done, in the transaction that does it.

    Args:
        connection: not in autocommit mode.
        tenant_id: to whom.
        action: what, in a few words.
        reason: why; nothing of a person in it.
    """
    connection.execute(
        "insert into ops.audit_log (tenant_id, action, reason) values (%s, %s, %s)", [tenant_id, action, reason]
    )
