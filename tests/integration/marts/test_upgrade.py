"""Older installations, with a store in them, upgrade to this one: nothing is lost, marts are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from dagster import AssetKey, AssetMaterialization
from sqlalchemy import NullPool, create_engine, text

import xeno_pipeline.database
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import migrate, newest_version, schema_version
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.monitoring.alerts import open_alerts
from xeno_pipeline.monitoring.checks import SUBSCRIPTIONS
from xeno_pipeline.settings import Settings, load_settings
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.grants import Grant, load_grant, store_grant
from xeno_pipeline.tenants.syncs import due

pytestmark = pytest.mark.thorough

FIRST_RELEASE = "0001"
WITH_CORE = "0016"
"""The last schema version of which the marts stand on a schema `core`."""
RELATIONS_WITH_CORE = Path(__file__).with_name("relations_at_0016.sql")
RENAMED_ASSETS = {
    ("core", "customers"): ("intermediate", "int_customers"),
    ("staging", "stg_orders"): ("staging", "stg_shopify__orders"),
    ("staging", "stg_tenants"): ("staging", "stg_ops__tenants"),
    ("marts", "fct_orders"): ("marts", "fct_orders"),
}

Marts = dict[str, list[dict[str, Any]]]
"""By mart, its rows by column."""

KEPT = ("ops.tenants", "ops.tenant_credentials", "ops.sync_state")
"""What the first release knew of a tenant, besides raw."""


def test_a_first_release_with_rows_in_it_comes_to_the_newest_schema_and_to_the_same_marts(
    warehouse: Warehouse, empty_database: Database, ring: KeyRing, tmp_path: Path
) -> None:
    warehouse.register([("acme", "America/New_York", "EUR")])
    _trade(warehouse, "acme")
    with warehouse.database.connect() as connection:
        store_grant(connection, ring, "acme", Grant.permanent("shpat_old"))
    _make_release(empty_database, FIRST_RELEASE)
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


def test_an_installation_with_a_schema_core_keeps_its_rows_logins_and_history_in_dagster(
    warehouse: Warehouse, empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.register([("acme", "America/New_York", "EUR"), ("other", "UTC", "USD")])
    _trade(warehouse, "acme")
    _trade(warehouse, "other")
    login = _make_installation_with_core(warehouse.database, empty_database, "acme")
    relations, marts, seen = _oids(empty_database, "core"), _marts(empty_database), _marts(login)
    assert seen["marts.dim_customers"], "the login reads something"
    monkeypatch.setenv("XENO_DATABASE_URL", empty_database.url)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(load_settings()) as instance:
        for name in RENAMED_ASSETS:
            instance.report_runless_asset_event(AssetMaterialization(AssetKey(name), partition="acme"))

    assert migrate(empty_database) is True

    renamed = {name.replace("core.", "intermediate.int_"): oid for name, oid in relations.items()}
    assert renamed.items() <= _oids(empty_database, "intermediate").items(), "renamed, not made again"
    assert _marts(empty_database) == marts
    assert _marts(login) == seen

    project = DbtProject(Settings(home=tmp_path, database_url=empty_database.url))
    assert make_relations(empty_database, project) is True
    upgraded = Warehouse(empty_database, project)
    upgraded.transform(only_due=True)
    assert differences(warehouse.marts(), upgraded.marts()) == {}
    assert _marts(empty_database, like=marts) == marts
    assert _marts(login, like=seen) == seen
    assert upgraded.query("select from pg_namespace where nspname = 'core'") == []
    assert _indexes(empty_database) == _indexes(warehouse.database)
    with open_instance(load_settings()) as instance:
        assert set(instance.all_asset_keys()) == {AssetKey(name) for name in RENAMED_ASSETS.values()}
        for key in map(AssetKey, RENAMED_ASSETS.values()):
            event = instance.get_latest_materialization_event(key)
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.asset_key == key
            assert instance.get_materialized_partitions(key) == {"acme"}


def test_open_alerts_are_renamed_with_their_checks(empty_database: Database) -> None:
    _make_release(empty_database, "0017")
    with empty_database.connect() as connection:
        connection.execute("""
            insert into ops.alerts (kind, subject, tenant_id, told, command, since, last_at) values
            ('stores_tell_of_changes', 'raw.carts', 'acme', 'acme: it is not subscribed.', 'xeno sync', now(), now()),
            ('run', 'sync', '', 'it was killed', 'xeno sync', now(), now())
            """)

    migrate(empty_database)

    with empty_database.connect() as connection:
        renamed = [(alert.kind, alert.message) for alert in open_alerts(connection)]
    assert sorted(renamed) == [("run", "it was killed"), (SUBSCRIPTIONS.name, "it is not subscribed.")]


def test_stores_whose_history_was_yet_to_be_read_are_still_read(empty_database: Database) -> None:
    _make_release(empty_database, "0021")
    with empty_database.connect() as connection:
        for handle in ("acme", "other"):
            connection.execute(
                "insert into ops.tenants (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, "
                "plan, access_scopes) values (%(handle)s, %(handle)s, %(handle)s, '', '', 'EUR', 'UTC', '', '{}')",
                {"handle": handle},
            )
        connection.execute("""
            insert into ops.backfill_requests values
            ('acme', '2026-01-01 12:00Z', 3, '2026-01-01 13:00Z'), ('other', '2026-01-02 12:00Z', 0, '9000-01-01Z')
            """)

    migrate(empty_database)

    with empty_database.connect() as connection:
        assert [(sync.tenant_id, sync.attempts) for sync in due(connection)] == [("acme", 3)]
        kept = "select tenant_id, kind, state, requested_by, requested_at::text from ops.syncs order by tenant_id"
        assert connection.execute(kept).fetchall() == [
            ("acme", "first_read", "queued", "connection", "2026-01-01 12:00:00+00"),
            ("other", "first_read", "queued", "connection", "2026-01-02 12:00:00+00"),
        ]


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


def _make_release(database: Database, version: str) -> None:
    """The schemas as a release made them."""
    engine = create_engine(database.sqlalchemy_url("psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("create schema ops"))
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(Path(xeno_pipeline.database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def _make_installation_with_core(source: Database, target: Database, tenant_id: str) -> Database:
    """An installation of the last release that had a schema core, with the rows of another one of today.

    Returns:
        It, as a BI login sees it.
    """
    _make_release(target, WITH_CORE)
    with target.connect() as connection:
        connection.execute(RELATIONS_WITH_CORE.read_bytes())
    _copy_what_it_knew(source, target)
    with source.connect() as today, target.connect() as then:
        for schema, newer, prefix in (
            ("core", "intermediate", "int_"),
            ("marts", "marts", ""),
            ("reference", "reference", ""),
        ):
            for table in _tables(then, schema):
                _copy(today, f"{newer}.{prefix}{table.split('.')[1]}", then, table)
        for table in ("ops.tenant_marts", "ops.marts_version", "ops.last_changes"):
            _copy(today, table, then, table)
        then.execute(
            "update ops.tenant_marts set project_version = 'older'; update ops.marts_version set version = 'older'"
        )
    with target.connect() as connection:  # what grants the role is of today, and names it
        connection.execute("alter table ops.bi_roles add column tool text")
    role = grant_bi_role(target, tenant_id)
    with target.connect() as connection:
        connection.execute("alter table ops.bi_roles drop column tool")
        connection.execute(
            "do $$ begin execute format('grant usage on schema core to %I', ops.bi_group('tenants')); end $$"
        )
        connection.execute(
            """
            select ops.secure(oid) from pg_class
            where relnamespace in ('core'::regnamespace, 'marts'::regnamespace) and relkind in ('r', 'v')
            """
        )
    return Database(target.url.replace("//xeno@", f"//{role.name}@"))


def _copy_what_it_knew(source: Database, target: Database) -> None:
    """Every row of raw, and of the tenants, in the columns that there were."""
    with source.connect() as today, target.connect() as then:
        for table in [*KEPT, *_tables(then, "raw")]:
            _copy(today, table, then, table)


def _copy(today: Connection, source: str, then: Connection, target: str) -> None:
    columns = ", ".join(_columns(then, target))
    read, write = f"copy (select {columns} from {source}) to stdout", f"copy {target} ({columns}) from stdin"
    with today.cursor().copy(read) as rows, then.cursor().copy(write) as copied:
        for row in rows:
            copied.write(row)


def _marts(database: Database, like: Marts | None = None) -> Marts:
    """The rows of every mart as somebody sees them, or of those marts and columns that another look has found."""
    with database.connect() as connection:
        found = {
            name: [row for (row,) in connection.execute(f"select to_jsonb(m) from {name} m").fetchall()]
            for name in like or _oids(database, "marts")
        }
    if like is not None:
        for name, rows in found.items():
            columns = like[name][0].keys() if like[name] else ()
            found[name] = [{column: row[column] for column in columns} for row in rows]
    return {name: sorted(rows, key=str) for name, rows in found.items()}


def _oids(database: Database, schema: str) -> dict[str, int]:
    """The tables and views of a schema, by name."""
    with database.connect() as connection:
        found = connection.execute(
            """
            select format('%%I.%%I', nspname, relname), pg_class.oid
            from pg_class join pg_namespace on pg_namespace.oid = relnamespace
            where nspname = %s and relkind in ('r', 'v')
            """,
            [schema],
        ).fetchall()
    return dict(found)


def _indexes(database: Database) -> list[str]:
    """The indexes of intermediate: all but those whose names dbt makes of what a relation was called first."""
    with database.connect() as connection:
        found = connection.execute(
            """
            select indexdef from pg_indexes
            where schemaname = 'intermediate' and indexname !~ '^[0-9a-f]{32}$' order by 1
            """
        ).fetchall()
    return [definition for (definition,) in found]


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
