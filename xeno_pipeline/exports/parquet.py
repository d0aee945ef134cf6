"""Marts as Parquet, made by pyarrow of what Postgres' COPY writes.

pyarrow is a library of 165 MB that few installations need, so it is the extra `parquet`. Here it gets bytes and a
file's path, and nothing that it could reach another place with.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.exports.copying import RowCounter, no_counter, read_copy
from xeno_pipeline.exports.read_ahead import read_ahead
from xeno_pipeline.exports.selection import Selection

_CHUNK_BYTES = 1024 * 1024
_MOST_READ, _MOST_PARSED = 12, 2
"""Chunks, and batches of them, that wait: what the server sends while pyarrow is imported, and no more."""


class ParquetUnavailableError(XenoError):
    """pyarrow is not installed."""


class ParquetError(XenoError):
    """pyarrow could not write the file."""


def write_parquet(connection: Connection, selection: Selection, path: Path, on_rows: RowCounter = no_counter) -> None:
    """Write the rows to a Parquet file, compressed by zstd.

    Types are those of the contract: numeric(20,4) is decimal(20,4), timestamptz is an instant in UTC, text[] a list.
    Rows are read, parsed and written in a thread each, so that two cores share the work.

    Args:
        connection: see `read_copy`; another thread uses it meanwhile.
        selection: the rows.
        path: of the file, which is made, or of which the contents are replaced and the mode kept.
        on_rows: called now and then, in another thread.

    Raises:
        ParquetUnavailableError: pyarrow is not installed.
        ParquetError: pyarrow could not write the file.
        OutdatedMartsError: a relation or a column of the contract is missing.
    """
    check_parquet()
    with closing(read_ahead(_read(connection, selection, on_rows), _MOST_READ)) as chunks:
        from pyarrow import ArrowException  # it takes a while to import, in which rows come

        from xeno_pipeline.exports.arrow import read_batches, schema_of, write_batches

        schema = schema_of(selection.mart)
        try:
            with closing(read_ahead(read_batches(chunks, schema), _MOST_PARSED)) as batches:
                write_batches(batches, schema, path)
        except (ArrowException, OSError) as error:  # its text may quote a row
            raise ParquetError(
                f"{selection.tenant_id}: pyarrow could not write {selection.mart.name} as Parquet "
                f"({type(error).__name__}): see whether there is room on the disk, or export CSV, which does without "
                "pyarrow."
            ) from None


def check_parquet() -> None:
    """See that Parquet files can be written.

    Raises:
        ParquetUnavailableError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ParquetUnavailableError(
            "pyarrow, which writes Parquet files, is not installed: `pip install pyarrow` (the extra `parquet`) "
            "installs it; CSV does without it."
        )


def _read(connection: Connection, selection: Selection, on_rows: RowCounter) -> Generator[bytes, None, None]:
    """The rows in COPY's text format."""
    rows = 0
    query = selection.statement(lambda column: sql.Identifier(column.name))
    with closing(read_copy(connection, query, "format text", _CHUNK_BYTES)) as chunks:
        for chunk, more in chunks:
            yield chunk
            rows += more
            on_rows(rows)
