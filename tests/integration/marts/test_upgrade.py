"""An installation of the first release, with a store in it, upgrades to this one: nothing is lost, marts are equal."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

import xeno_pipeline.database
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import migrate, newest_version, schema_version
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.grants import Grant, load_grant, store_grant

FIRST_RELEASE = "0001"
KEPT = ("ops.tenants", "ops.tenant_credentials", "ops.sync_state")
"""What the first release knew of a tenant, besides raw."""


def test_a_first_release_with_rows_in_it_comes_to_the_newest_schema_and_to_the_same_marts(
    warehouse: Warehouse, empty_database: Database, ring: KeyRing, tmp_path: Path
) -> None:
    warehouse.register([("acme", "America/New_York", "EUR")])
    _trade(warehouse, "acme")
    with warehouse.database.connect() as connection:
        store_grant(connection, ring, "acme", Grant.permanent("shpat_old"))
    _make_first_release(empty_database)
    _copy_what_it_knew(warehouse.database, empty_database)

    assert migrate(empty_database) is True
    assert schema_version(empty_database) == newest_version()

    with empty_database.connect() as connection:
        assert load_grant(connection, ring, "acme") == Grant.permanent("shpat_old")
    project = DbtProject(Settings(home=tmp_path, database_url=empty_database.url))
    assert make_relations(empty_database, project) is True
    upgraded = Warehouse(empty_database, project)
    upgraded.transform(only_due=True)
    assert upgraded.value("select count(*) from marts.fct_orders") == 3
    assert differences(warehouse.marts(), upgraded.marts()) == {}


def _trade(warehouse: Warehouse, handle: str) -> None:
    """A store in which something of each kind has happened, in its marts."""
    store = Store(handle)
    product = store.add_product()
    regular, guest = store.add_customer(), None
    first, *_ = [
        store.place_order(customer, hour, product=product)
        for customer, hour in ((regular, 1), (guest, 30), (regular, 900))
    ]
    store.refund(first, 950)
    store.leave_checkout(regular, 1000)
    store.load(warehouse)
    warehouse.transform()


def _make_first_release(database: Database) -> None:
    """The schemas as the first release made them."""
    engine = create_engine(database.sqlalchemy_url("psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("create schema ops"))
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(Path(xeno_pipeline.database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST_RELEASE)


def _copy_what_it_knew(source: Database, target: Database) -> None:
    """Every row of raw, and of the tenants, in the columns that there were."""
    with source.connect() as today, target.connect() as then:
        for table in [*KEPT, *_tables(then, "raw")]:
            columns = ", ".join(_columns(then, table))
            read, write = f"copy (select {columns} from {table}) to stdout", f"copy {table} ({columns}) from stdin"
            with today.cursor().copy(read) as rows, then.cursor().copy(write) as copied:
                for row in rows:
                    copied.write(row)


def _tables(connection: Connection, schema: str) -> list[str]:
    found = connection.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables where schemaname = %s", [schema]
    )
    return [name for (name,) in found]


def _columns(connection: Connection, table: str) -> list[str]:
    found = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped", [table]
    )
    return [name for (name,) in found]
