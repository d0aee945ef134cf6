"""The lock between what writes a tenant's rows and the tenant's removal.

A removal deletes the rows it sees. A load that began before it and commits after it would bring rows back. So writers
share a lock that a removal takes exclusively, and check that the tenant exists once they hold it.
"""

from __future__ import annotations

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError

TRANSFORM_LOCK_KEY = "hashtextextended('transform ' || tenant_id, 0)"
"""The advisory lock that a transform holds on each of its tenants; an expression of the column `tenant_id`."""


class TenantRemovedError(XenoError):
    """The tenant was removed while its rows were being written."""


def lock_against_removal(connection: Connection, tenant_id: str) -> None:
    """Keep a tenant from being removed until the transaction ends. Call it before locking any of its rows.

    Args:
        connection: not in autocommit mode, or in a transaction.

    Raises:
        TenantRemovedError: it was removed; write nothing.
    """
    connection.execute("select pg_advisory_xact_lock_shared(hashtextextended('tenant ' || %s, 0))", [tenant_id])
    row = connection.execute("select status from ops.tenants where tenant_id = %s", [tenant_id]).fetchone()
    if row is None or row[0] == "removed":
        raise TenantRemovedError(f"{tenant_id}: the tenant was removed during the load, so nothing was written.")


def lock_for_removal(connection: Connection, tenant_id: str) -> None:
    """Wait until no transaction writes the tenant's rows, in raw or in the marts, and keep others from beginning.

    Args:
        connection: not in autocommit mode, or in a transaction; the lock is held until that ends.
        tenant_id: the tenant to be removed.
    """
    # First the transform, which may take minutes: loads go on while this waits for it.
    connection.execute(
        f"select pg_advisory_xact_lock({TRANSFORM_LOCK_KEY}) from (values (%s)) t (tenant_id)", [tenant_id]
    )
    connection.execute("select pg_advisory_xact_lock(hashtextextended('tenant ' || %s, 0))", [tenant_id])
