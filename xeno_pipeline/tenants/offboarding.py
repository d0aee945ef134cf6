"""Off-boarding tenants.

A tenant whose store uninstalls the app is suspended, and its token deleted. Removing a tenant deletes all of its rows,
its token, its BI roles and its state; a tombstone without data remains.
"""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.roles import revoke_bi_roles
from xeno_pipeline.database.tenant_lock import lock_for_removal
from xeno_pipeline.tenants import audit, registry

_SCHEMAS = ("ops", "raw", "stale", "intermediate", "marts")
_KEPT = ("ops.tenants", "ops.audit_log", "ops.privacy_requests")
"""The tombstone, and the records of what was done."""


def uninstall(connection: Connection, handle: str, happened_at: datetime) -> bool:
    """Suspend a tenant whose store has uninstalled the app, and delete its token, in the caller's transaction.

    Args:
        connection: not in autocommit mode.
        happened_at: when it was uninstalled; ignored where the store was connected after that, since webhooks may be
            hours late.

    Returns:
        Whether it is suspended now.

    Raises:
        UnknownTenantError: there is none of that handle.
        RolesNotPermittedError: the owner may not change the role of its BI tool.
    """
    registry.get(connection, handle)
    row = connection.execute(
        "select connected_at <= %s from ops.tenants where tenant_id = %s for update", [happened_at, handle]
    ).fetchone()
    if row != (True,):
        audit.record(connection, handle, "uninstallation ignored", "the store was connected again since then")
        return False
    connection.execute("delete from ops.tenant_credentials where tenant_id = %s", [handle])
    connection.execute("delete from ops.webhook_subscriptions where tenant_id = %s", [handle])
    registry.set_status(connection, handle, "suspended")
    audit.record(connection, handle, "suspended, token forgotten", "the store uninstalled the app")
    return True


def remove_tenant(connection: Connection, handle: str) -> int:
    """Delete everything of a tenant except its handle and its shop's id, after waiting for writers to finish.

    Returns:
        The number of deleted rows, without those of `ops`.

    Raises:
        UnknownTenantError: there is none of that handle.
        RolesNotPermittedError: the owner may not drop a role of its BI tools.
    """
    lock_for_removal(connection, handle)
    registry.get(connection, handle)
    revoke_bi_roles(connection, handle)
    deleted = 0
    for schema, table in _tenant_tables(connection):
        statement = sql.SQL("delete from {} where tenant_id = %s").format(sql.Identifier(schema, table))
        rows = connection.execute(statement, [handle]).rowcount
        deleted += rows if schema != "ops" else 0
    connection.execute(
        """
        update ops.tenants
        set status = 'removed', shop_domain = '', api_url = '', name = '', currency = '', iana_timezone = 'UTC',
            plan = '', access_scopes = '{}', updated_at = now()
        where tenant_id = %s
        """,
        [handle],
    )
    return deleted


def _tenant_tables(connection: Connection) -> list[tuple[str, str]]:
    """The tables whose rows are deleted with their tenant."""
    return connection.execute(
        """
        select table_schema, table_name
        from information_schema.columns
        join information_schema.tables using (table_schema, table_name)
        where table_schema = any(%s) and table_type = 'BASE TABLE' and column_name = 'tenant_id'
        and table_schema || '.' || table_name <> all(%s)
        """,
        [list(_SCHEMAS), list(_KEPT)],
    ).fetchall()
