"""Rows as Postgres' COPY writes them, read in chunks.

psycopg gives one row at a time, which costs more than the server takes to make it; so the loop over rows is here, with
as little in it as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Wait

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError

RowCounter = Callable[[int], None]
"""Called now and then with the number of rows so far."""

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


def read_copy(
    connection: Connection, query: sql.Composable, options: str, chunk_bytes: int
) -> Generator[tuple[bytes, int], None, None]:
    """What a query gives, in chunks of whole rows; all are of one moment.

    Args:
        connection: in a transaction, with the marts in its search path. Nothing else can use it until the end; a
            generator that is closed early cancels the statement.
        query: without placeholders.
        options: of COPY; the encoding is UTF-8. A header is a row like others.
        chunk_bytes: a chunk ends with the row that fills it.

    Returns:
        Chunks, each with its number of rows.

    Raises:
        OutdatedMartsError: a relation or a column of the contract is missing.
    """
    statement = sql.SQL("copy ({}) to stdout with (encoding 'UTF8', {})").format(query, sql.SQL(options))
    connection.execute(_SESSION)
    try:
        with connection.cursor() as cursor, cursor.copy(statement):
            is_over = False
            while not is_over:
                chunk = bytearray()
                rows, is_over = connection.wait(_fill(chunk, connection.pgconn, chunk_bytes))
                if rows:
                    yield bytes(chunk), rows
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise OutdatedMartsError(
            "The marts in the database are of another version than this program: `xeno db migrate` makes what is "
            "missing."
        ) from error


def _fill(chunk: bytearray, server: PGconn, chunk_bytes: int) -> PQGen[tuple[int, bool]]:
    """Add rows to a chunk until it is full or no more come.

    Returns:
        The number of rows, and whether they were the last.
    """
    rows = 0
    receive = server.get_copy_data
    while len(chunk) < chunk_bytes:
        size, row = receive(1)
        if size > 0:
            chunk += row
            rows += 1
        elif size == 0:  # the next one is still under way
            while not (yield Wait.R):
                pass
            server.consume_input()
        else:
            for result in (yield from fetch_many(server)):
                if result.status != ExecStatus.COMMAND_OK:
                    raise error_from_result(result)
            return rows, True
    return rows, False
