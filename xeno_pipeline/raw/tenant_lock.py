"""Whether a tenant is still there, for whoever writes rows of it: nothing is written of one after its removal.

A removal deletes what it sees. A load that had begun before and commits after it would bring the rows back, so writers
share a lock with each other which a removal takes for itself, and look at the tenant once they hold it.
"""

from __future__ import annotations

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError

TRANSFORM_LOCK_KEY = "hashtextextended('transform ' || tenant_id, 0)"
"""The advisory lock that a transform holds on each of its tenants, of whom `tenant_id` is one."""


class TenantRemovedError(XenoError):
    """The tenant was removed while something of it was at work."""


def lock_against_removal(connection: Connection, tenant_id: str) -> None:
    """Keep a tenant from being removed until the transaction ends. To be called before its rows are locked.

    Args:
        connection: not in autocommit mode, or in a transaction.
        tenant_id: of whom rows are about to be written.

    Raises:
        TenantRemovedError: it was removed; nothing is to be written.
    """
    connection.execute("select pg_advisory_xact_lock_shared(hashtextextended('tenant ' || %s, 0))", [tenant_id])
    row = connection.execute("select status from ops.tenants where tenant_id = %s", [tenant_id]).fetchone()
    if row is None or row[0] == "removed":
        raise TenantRemovedError(f"{tenant_id}: the tenant was removed meanwhile, so nothing of it was written.")


def lock_for_removal(connection: Connection, tenant_id: str) -> None:
    """Wait until nobody writes rows of a tenant, in raw or in the marts, and keep everybody from it.

    Args:
        connection: not in autocommit mode, or in a transaction; the lock is held until that ends.
        tenant_id: who is about to be removed.
    """
    # A transform may take minutes: meanwhile loads may go on.
    connection.execute(
        f"select pg_advisory_xact_lock({TRANSFORM_LOCK_KEY}) from (values (%s)) t (tenant_id)", [tenant_id]
    )
    connection.execute("select pg_advisory_xact_lock(hashtextextended('tenant ' || %s, 0))", [tenant_id])
