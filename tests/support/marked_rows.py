"""Rows whose every value tells whose it is: what an attack may not bring to light."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant

ROWS = 40
"""Rows of each tenant in each table: equal values are many enough to be in the planner's statistics."""


@dataclass(frozen=True)
class Owner:
    """A tenant, and what every value of its rows is made of.

    Args:
        tenant_id: its handle.
        word: in every text.
        number: the leading digits of every number.
        year: of every date.
    """

    tenant_id: str
    word: str
    number: int
    year: int

    def marks(self) -> re.Pattern[str]:
        """Finds any value of the tenant's rows in a text."""
        return re.compile(f"{self.word}|{self.number}|{self.year}-", re.IGNORECASE)


ATTACKER = Owner("mallory", "plainly", 100100, 2100)
VICTIM = Owner("velvet-victim", "velvet", 190719, 2719)
BYSTANDER = Owner("zebra", "zebra", 300300, 2300)


def register(connection: Connection, owner: Owner) -> None:
    """Make it a tenant of the registry."""
    word = owner.word
    registry.add(
        connection,
        Tenant(owner.tenant_id, f"gid://{word}", f"{word}.example", f"http://{word}", word, "EUR", "UTC", word, [word]),
    )


def fill(connection: Connection, owner: Owner) -> None:
    """Put rows of the tenant into every table of raw, intermediate, marts and stale, a mark in each column that can be.

    Ids are the same in all tables, row by row, so that views that join tables show them too.
    """
    tables = connection.execute(
        """
        select pg_class.oid::regclass::text, array_agg(
            array[attname, format_type(atttypid, null), (attnum = any(coalesce(indkey, '')))::text] order by attnum
        )
        from pg_class
        join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        left join pg_index on indrelid = pg_class.oid and indisprimary
        where relkind = 'r' and relnamespace::regnamespace::text in ('raw', 'intermediate', 'marts', 'stale')
        group by pg_class.oid
        """
    ).fetchall()
    for table, columns in tables:
        statement = sql.SQL("insert into {} ({}) select {} from generate_series(0, %s) n").format(
            sql.SQL(table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _, _ in columns),
            sql.SQL(", ").join(_value(owner, *column) for column in columns),
        )
        # Where nothing tells rows apart but the tenant, one is all there can be.
        connection.execute(statement + sql.SQL(" on conflict do nothing"), [ROWS - 1])


def _value(owner: Owner, column: str, kind: str, in_key: str) -> sql.Composable:
    """An expression of `n` that makes a value of that kind: another for each row in a key, else always the same."""
    step = sql.SQL("n" if in_key == "true" else "0")
    if column == "tenant_id":
        return sql.Literal(owner.tenant_id)
    if column == "iana_timezone":  # views compute with it
        return sql.Literal("UTC")
    if kind in ("bigint", "integer"):
        return sql.SQL("({} + n)").format(owner.number * 1000)
    if kind in ("numeric", "double precision"):
        return sql.SQL("{}::{}").format(f"{owner.number}.{owner.number % 10000:04}", sql.SQL(kind))
    if kind == "double precision[]":
        return sql.SQL("array_fill({}::double precision, array[16])").format(owner.number)
    if kind == "text":
        return sql.SQL("concat_ws('-', {}, nullif({}, 0))").format(f"{owner.word} {column}", step)
    if kind == "text[]":
        return sql.SQL("array[{}]").format(f"{owner.word} {column}")
    if kind == "date":
        return sql.SQL("{}::date + {}").format(f"{owner.year}-01-01", step)
    if kind.startswith("timestamp"):
        return sql.SQL("{}::timestamptz + {} * interval '1 day'").format(f"{owner.year}-01-01 12:00Z", step)
    if kind == "boolean":
        return sql.SQL("true")
    if kind == "jsonb":
        return sql.SQL("jsonb_build_object({0}::text, {0}::text)").format(owner.word)
    raise AssertionError(f"{column}: values of the type {kind} need a mark of their own")
