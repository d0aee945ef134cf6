"""The planner knows of a first load before the first transform asks it anything."""

from __future__ import annotations

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.statistics import refresh_statistics

INSERT = """
    insert into raw.shops (tenant_id, id, updated_at, query_version, payload)
    select 'acme', number, now(), 1, '{}' from generate_series(%s::int, %s::int) as number
    """


def rows_known(database: Database) -> float:
    """How many rows the planner takes the table for; -1 where it was never analysed."""
    with database.connect() as connection:
        row = connection.execute("select reltuples from pg_class where oid = 'raw.shops'::regclass").fetchone()
    assert row is not None
    return float(row[0])


def insert(database: Database, first: int, last: int) -> None:
    with database.connect() as connection:
        connection.execute(INSERT, [first, last])
        connection.execute("select pg_stat_force_next_flush()")  # else it may be told a second later


def test_tables_of_which_much_changed_are_analysed_and_no_others(database: Database) -> None:
    insert(database, 1, 1000)
    refresh_statistics(database, "raw")
    assert rows_known(database) == -1

    insert(database, 1001, 2000)
    refresh_statistics(database, "raw")
    assert rows_known(database) == 2000

    insert(database, 2001, 2100)
    refresh_statistics(database, "raw")
    assert rows_known(database) == 2000
