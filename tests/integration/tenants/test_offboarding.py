"""What is removed is gone from everywhere, but for a tombstone that tells nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from tests.support.installation import Installation, Shop
from xeno_pipeline.database.tenant_lock import TenantRemovedError
from xeno_pipeline.extraction.state import record_synced
from xeno_pipeline.marts.scope import open_scope
from xeno_pipeline.raw.load import lock
from xeno_pipeline.raw.tables import ORDERS
from xeno_pipeline.tenants.offboarding import remove_tenant


def test_removing_a_tenant_deletes_all_of_it_and_nothing_of_others(
    installation: Installation, shelf: Shop, shop: Shop
) -> None:
    for tenant in (installation.connect(shelf), installation.connect(shop)):
        installation.sync(tenant)
    before = _rows_by_tenant(installation)

    with installation.database.connect() as connection:
        remove_tenant(connection, "shelf")

    left = _rows_by_tenant(installation)
    assert {table: rows for (table, tenant), rows in left.items() if tenant == "shelf"} == {"ops.tenants": 1}
    others = {key: rows for key, rows in before.items() if key[1] == shop.handle}
    assert {key: rows for key, rows in left.items() if key[1] == shop.handle} == others
    ((tombstone,),) = installation.query("select t from ops.tenants t where tenant_id = 'shelf'")
    assert not any(fact in str(tombstone) for fact in ("EUR", "Berlin", "127.0.0.1", "read_orders", "Enterprise"))


def _rows_by_tenant(installation: Installation) -> dict[tuple[str, str], int]:
    """The number of rows of each tenant in each table that has any of it, whatever its schema."""
    tables = installation.query(
        """
        select table_schema, table_name from information_schema.columns join information_schema.tables
        using (table_schema, table_name) where column_name = 'tenant_id' and table_type = 'BASE TABLE'
        """
    )
    counts: dict[tuple[str, str], int] = {}
    with installation.database.connect() as connection:
        for schema, table in tables:
            query = sql.SQL("select tenant_id, count(*) from {} group by 1").format(sql.Identifier(schema, table))
            counts |= {(f"{schema}.{table}", tenant): rows for tenant, rows in connection.execute(query)}
    return counts


def test_a_removal_waits_for_whoever_writes_and_nothing_is_written_after_it(
    installation: Installation, shelf: Shop
) -> None:
    """Else the rows of a load that began before and ends after it would come back."""
    tenant_id = installation.connect(shelf).tenant_id
    with installation.database.connect() as loading, installation.database.connect() as removing:
        lock(loading, tenant_id, ORDERS)
        removing.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable), removing.transaction():
            remove_tenant(removing, tenant_id)
        loading.commit()
        remove_tenant(removing, tenant_id)

    with installation.database.connect() as connection, pytest.raises(TenantRemovedError, match=f"^{tenant_id}: "):
        lock(connection, tenant_id, ORDERS)
    with installation.database.connect() as connection, pytest.raises(TenantRemovedError):
        record_synced(connection, tenant_id, ["orders"], datetime.now(UTC))


def test_a_removal_waits_for_the_transform_that_makes_its_marts(installation: Installation, shelf: Shop) -> None:
    tenant_id = installation.connect(shelf).tenant_id
    with installation.database.connect() as removing:
        removing.execute("set lock_timeout = '50ms'")
        with (
            open_scope(installation.database, [tenant_id], as_of=None, project_version="1"),
            pytest.raises(psycopg.errors.LockNotAvailable),
            removing.transaction(),
        ):
            remove_tenant(removing, tenant_id)
        remove_tenant(removing, tenant_id)
    with open_scope(installation.database, [tenant_id], as_of=None, project_version="1") as scope:
        assert scope.tenant_ids == ()
