"""The audit log, `ops.audit_log`: what the system did to tenants without being asked, and who may see them."""

from __future__ import annotations

from xeno_pipeline.database.connection import Connection


def record(connection: Connection, tenant_id: str | None, action: str, reason: str) -> None:
    """Record an action in the transaction that performs it.

    Args:
        connection: not in autocommit mode.
        tenant_id: None: it concerns all tenants, those to come included.
        action: a few words.
        reason: without personal data.
    """
    connection.execute(
        "insert into ops.audit_log (tenant_id, action, reason) values (%s, %s, %s)", [tenant_id, action, reason]
    )
