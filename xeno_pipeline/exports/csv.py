"""Marts as CSV, made by Postgres' COPY and handed on as it comes.

UTF-8, a header, commas, quotes only where needed (RFC 4180, but lines end with a line feed). Null is an empty field,
empty text is `""`. Decimals have all their digits, booleans are true and false, instants are in UTC, lists are JSON.
Nothing is changed that a spreadsheet might take for a formula: files are for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.exports.contract import Column
from xeno_pipeline.exports.selection import Selection

RowCounter = Callable[[int], None]
"""Called now and then with the number of rows so far."""

_CHUNK_BYTES = 64 * 1024

_SESSION = """
    select
        set_config('timezone', 'UTC', true),
        set_config('datestyle', 'ISO', true),
        set_config('statement_timeout', '1h', true)
    """
"""For the transaction: how values are written, and for how long (the statement waits for whoever reads it)."""


class OutdatedMartsError(XenoError):
    """The database has not the relations or columns that this version's contract has."""


def no_counter(rows: int) -> None:
    """Counts for nobody."""


def stream_csv(
    connection: Connection, selection: Selection, on_rows: RowCounter = no_counter, *, header: bool = True
) -> Generator[bytes, None, None]:
    """The rows as CSV, in chunks of about 64 KiB; all are of one moment.

    Args:
        connection: in a transaction, with the marts in its search path. Nothing else can use it until the end; a
            generator that is closed early cancels the statement.
        selection: the rows.
        on_rows: called for each chunk.
        header: whether the columns' names come first.

    Raises:
        OutdatedMartsError: a relation or a column of the contract is missing.
    """
    with _copy(connection, selection.statement(_render), header=header) as copy:
        pending: list[bytes | bytearray | memoryview] = []
        size, rows = 0, -1 if header else 0
        for line in copy:
            pending.append(line)
            size += len(line)
            rows += 1
            if size >= _CHUNK_BYTES:
                yield b"".join(pending)
                on_rows(rows)
                pending, size = [], 0
        if pending:
            yield b"".join(pending)
        on_rows(rows)


@contextmanager
def _copy(connection: Connection, query: sql.Composable, *, header: bool) -> Iterator[psycopg.Copy]:
    connection.execute(_SESSION)
    options = sql.SQL("format csv, header {}, encoding 'UTF8'").format(sql.Literal(header))
    try:
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("copy ({}) to stdout with ({})").format(query, options)) as copy,
        ):
            yield copy
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise OutdatedMartsError(
            "The marts in the database are of another version than this program: `xeno db migrate` makes what is "
            "missing."
        ) from error


def _render(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.type == "boolean":
        return sql.SQL("{}::text as {}").format(name, name)
    if column.type.endswith("[]"):
        return sql.SQL("to_json({}) as {}").format(name, name)
    return name
