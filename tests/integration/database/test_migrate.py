"""Whoever opens a database finds it migrated, and a database that cannot be is refused in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.support.database_roles import PLAIN, as_role
from xeno_pipeline.database import migrate as migrate_module
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import NotPermittedError, SchemaTooNewError, migrate, newest_version, schema_version
from xeno_pipeline.raw.tables import CARTS, RAW_TABLES, RawTable

MIGRATOR = """
import sys
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import migrate

print("ready", flush=True)
sys.stdin.readline()
print(migrate(Database(sys.argv[1])))
"""


def test_a_database_that_is_behind_is_brought_up_to_date_once(empty_database: Database) -> None:
    assert schema_version(empty_database) is None

    assert migrate(empty_database) is True
    assert schema_version(empty_database) == newest_version()
    assert migrate(empty_database) is False


@pytest.mark.thorough
def test_of_processes_that_migrate_at_once_one_does_and_the_others_wait(empty_database: Database) -> None:
    command = [sys.executable, "-c", MIGRATOR, empty_database.url]
    migrators = [subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    for process in migrators:
        assert process.stdout is not None
        process.stdout.readline()
    said = [process.communicate("\n") for process in migrators]

    assert [errors for _, errors in said if errors] == []
    assert schema_version(empty_database) == newest_version()
    assert "True\n" in [output for output, _ in said]


def test_a_database_ahead_of_the_package_is_refused_and_left_alone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("update ops.schema_version set version_num = '9999'")

    remedy = r"upgrade it, or restart it after an upgrade\.$"
    with pytest.raises(SchemaTooNewError, match=rf"is at schema version 9999, which .* does not know: {remedy}"):
        migrate(database)

    assert schema_version(database) == "9999"


def test_the_owner_of_a_database_needs_to_be_no_superuser(empty_database: Database) -> None:
    plain = as_role(empty_database, PLAIN, owner=True)

    assert migrate(plain) is True
    with plain.connect() as connection:
        assert connection.execute("select count(*) from raw.orders").fetchone() == (0,)


def test_a_role_that_may_not_create_schemas_is_told_so(empty_database: Database) -> None:
    plain = as_role(empty_database, PLAIN)

    with pytest.raises(NotPermittedError, match=r"permission denied .* must own the database, or be granted CREATE"):
        migrate(plain)


def test_a_role_that_may_not_read_the_schemas_is_told_so(database: Database) -> None:
    plain = as_role(database, PLAIN)

    with pytest.raises(NotPermittedError, match="permission denied"):
        migrate(plain)


@pytest.mark.parametrize("table", RAW_TABLES, ids=lambda table: table.name)
def test_the_migrated_tables_are_what_the_package_loads_into(migrated: Database, table: RawTable) -> None:
    columns = _columns(migrated, table)
    bookkeeping = {"loaded_at", "deleted_at"} if table.parent is None else {"loaded_at"}
    always = {"tenant_id", "id", "query_version", "loaded_at", "payload"}
    always |= {"updated_at"} if table.parent is None else {str(table.parent_column)}
    always |= {"cart_id"} if table is CARTS else set()  # what its id is made from

    assert columns.keys() == set(table.copied_columns) | bookkeeping
    assert {name for name, (_, nullable) in columns.items() if not nullable} == always
    for name, (type_, _) in columns.items():
        assert type_ == _type_of(name, table), name


@pytest.mark.parametrize("table", RAW_TABLES, ids=lambda table: table.name)
def test_rows_are_found_by_their_key_and_by_their_parent(migrated: Database, table: RawTable) -> None:
    wanted = {("tenant_id", "id"): True}
    if table.parent_column:
        wanted[("tenant_id", table.parent_column)] = False

    assert _indexes(migrated, table) == wanted


@pytest.fixture(scope="module")
def migrated(make_database) -> Database:
    """A migrated database to look at."""
    return make_database()


def _columns(database: Database, table: RawTable) -> dict[str, tuple[str, bool]]:
    with database.connect() as connection:
        found = connection.execute(
            """
            select column_name, coalesce(nullif(data_type, 'ARRAY'), 'texts'), is_nullable = 'YES'
            from information_schema.columns where table_schema = 'raw' and table_name = %s
            """,
            [table.name],
        )
        return {name: (type_, nullable) for name, type_, nullable in found}


def _indexes(database: Database, table: RawTable) -> dict[tuple[str, ...], bool]:
    """The indexed columns of a table, and whether they are its primary key."""
    with database.connect() as connection:
        found = connection.execute(
            """
            select array_agg(attname::text order by position), indisprimary
            from pg_index, unnest(indkey) with ordinality as key (attnum, position), pg_attribute
            where indrelid = ('raw.' || %s)::regclass and attrelid = indrelid and pg_attribute.attnum = key.attnum
            group by indexrelid
            """,
            [table.name],
        )
        return {tuple(columns): primary for columns, primary in found}


_KEYS_THAT_ARE_TEXTS = {
    ("order_agreements", "id"),
    ("order_sales", "id"),
    ("order_sales", "agreement_id"),
    ("carts", "cart_id"),
}
"""An agreement is no Node: its gid is no number; nor is what Shopify names a cart by."""

_AMOUNTS = ("price", "amount", "refunded")
_COUNTS = ("quantity", "position", "version")


def _type_of(column: str, table: RawTable) -> str:
    """The type that a column's name promises."""
    if (table.name, column) in _KEYS_THAT_ARE_TEXTS:
        return "text"
    if column == "payload":
        return "jsonb"
    if column.endswith("_at"):
        return "timestamp with time zone"
    if column.startswith("is_"):
        return "boolean"
    if column in ("tags", "discount_codes", "access_scopes"):
        return "texts"
    if column.endswith(_AMOUNTS):
        return "numeric"
    if column.endswith(_COUNTS):
        return "integer"
    if column == "tenant_id":
        return "text"
    return "bigint" if column == "number_of_orders" or column == "id" or column.endswith("_id") else "text"


def test_the_revision_that_is_needed_is_the_head_of_all_migrations() -> None:
    """It is read from the names of the files: Alembic takes too long to import for that."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate_module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [newest_version()]
