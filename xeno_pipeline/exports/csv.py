"""Marts as CSV, made by Postgres' COPY and handed on as it comes.

UTF-8, a header, commas, quotes only where needed (RFC 4180, but lines end with a line feed). Null is an empty field,
empty text is `""`. Decimals have all their digits, booleans are true and false, instants are in UTC, lists are JSON.
Nothing is changed that a spreadsheet might take for a formula: files are for programs.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.exports.contract import Column
from xeno_pipeline.exports.copying import RowCounter, no_counter, read_copy
from xeno_pipeline.exports.selection import Selection

_CHUNK_BYTES = 64 * 1024


def stream_csv(
    connection: Connection, selection: Selection, on_rows: RowCounter = no_counter
) -> Generator[bytes, None, None]:
    """The rows as CSV, in chunks of about 64 KiB; all are of one moment.

    Args:
        connection: see `read_copy`.
        selection: the rows.
        on_rows: called for each chunk.

    Raises:
        OutdatedMartsError: a relation or a column of the contract is missing.
    """
    rows = -1  # the header is none
    with closing(read_copy(connection, selection.statement(_render), "format csv, header", _CHUNK_BYTES)) as chunks:
        for chunk, more in chunks:
            yield chunk
            rows += more
            on_rows(rows)


def _render(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.type == "boolean":
        return sql.SQL("{}::text as {}").format(name, name)
    if column.type.endswith("[]"):
        return sql.SQL("to_json({}) as {}").format(name, name)
    return name
