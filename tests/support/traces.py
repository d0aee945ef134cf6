"""Traces that a person leaves in an installation."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from tests.support.location import Location
from xeno_pipeline.settings import load_settings

PERSON: dict[str, Any] = {
    "first_name": "Zebulonia",
    "last_name": "Quackenbush",
    "email": "zebulonia.q@mail.example",
    "phone": "+4930555019284",
    "tags": ["Zebulonia prefers tea"],
}

TRACES = ("zebulonia", "quackenbush", "555019284")


def traces(location: Location, words: tuple[str, ...] = TRACES) -> set[str]:
    """Where any of the words is found: every column of every table of every schema, and every file in the home."""
    tables = location.installation.query(
        """
        select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')
        """
    )
    found: set[str] = set()
    pattern = "|".join(word.replace("+", "\\+") for word in words)
    with location.installation.database.connect() as connection:
        for schema, table in tables:
            query = sql.SQL("select exists (select from {} t where t::text ~* %s)").format(
                sql.Identifier(schema, table)
            )
            if connection.execute(query, [pattern]).fetchone() == (True,):
                found.add(f"{schema}.{table}")
    assert len(tables) > 40
    files = (path for path in load_settings().home.rglob("*") if path.is_file())
    return found | {path.name for path in files if any(word.encode() in path.read_bytes().lower() for word in words)}
