"""Marts as Parquet: Postgres' COPY goes through a pipe to DuckDB, which writes the file.

DuckDB is a library of 70 MB that few installations need, so it is the extra `parquet`. It is confined to the pipe and
the file: it loads no extension, reaches no network, and keeps within a limit of memory.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from types import ModuleType

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.exports.contract import Column, Mart
from xeno_pipeline.exports.csv import RowCounter, no_counter, stream_csv
from xeno_pipeline.exports.pipe import piped
from xeno_pipeline.exports.selection import Selection

_SETTINGS = {
    "memory_limit": "160MB",
    "threads": 1,  # so rows stay in order, and one more would gain little: the rows come through one pipe
    "preserve_insertion_order": False,  # without which there is no limit to the bytes of a group of rows
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_LONGEST_ROW = 1024 * 1024
_ROW_GROUP = "row_group_size 100_000, row_group_size_bytes '24MB'"
"""How much is held in memory before it is written, whichever comes first; larger groups compress little better."""

_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamptz": "TIMESTAMPTZ",
    "doubleprecision": "DOUBLE",
    "jsonb": "VARCHAR",
    "text[]": "VARCHAR",
}
"""DuckDB's types, by the contract's; a decimal has the same name in both, and lists come as JSON."""

_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")


class ParquetUnavailableError(XenoError):
    """DuckDB is not installed."""


class ParquetError(XenoError):
    """DuckDB could not write the file."""


def write_parquet(connection: Connection, selection: Selection, path: Path, on_rows: RowCounter = no_counter) -> None:
    """Write the rows to a Parquet file, compressed by zstd.

    Types are those of the contract: numeric(20,4) is decimal(20,4), timestamptz is an instant in UTC, text[] a list.

    Args:
        connection: in a transaction, with the marts in its search path; another thread uses it meanwhile.
        selection: the rows.
        path: of the file, which is made, or of which the contents are replaced and the mode kept.
        on_rows: see `stream_csv`; called in another thread.

    Raises:
        ParquetUnavailableError: DuckDB is not installed.
        ParquetError: DuckDB could not write the file.
        OutdatedMartsError: a relation or a column of the contract is missing.
    """
    duckdb = load_duckdb()
    try:
        with piped(stream_csv(connection, selection, on_rows, header=False)) as pipe:
            _convert(duckdb, selection.mart, pipe, str(path))
    except duckdb.Error as error:  # its text may quote a row
        raise ParquetError(
            f"{selection.tenant_id}: DuckDB could not write {selection.mart.name} as Parquet ({type(error).__name__}): "
            "see whether there is room on the disk, or export CSV, which does without DuckDB."
        ) from error


def load_duckdb() -> ModuleType:
    """DuckDB.

    Raises:
        ParquetUnavailableError: it is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ParquetUnavailableError(
            "DuckDB, which writes Parquet files, is not installed: `pip install duckdb` (the extra `parquet`) installs "
            "it; CSV does without it."
        ) from None
    return duckdb


def _convert(duckdb: ModuleType, mart: Mart, source: str, target: str) -> None:
    """Read CSV to its end, and write it to a Parquet file."""
    types = {column.name: _type(column) for column in mart.columns}
    with closing(duckdb.connect(":memory:", config=_SETTINGS)) as database:
        database.execute(f"set allowed_paths = [{_quote(source)}, {_quote(target)}]")
        database.execute("set enable_external_access = false")
        database.execute("set lock_configuration = true")
        database.execute(
            f"""
            copy (
                select {", ".join(map(_select, mart.columns))}
                from read_csv(
                    {_quote(source)}, columns = {types}, auto_detect = false, header = false, delim = ',',
                    quote = '"', escape = '"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false,
                    max_line_size = {_LONGEST_ROW}, buffer_size = {4 * _LONGEST_ROW}
                )
            ) to {_quote(target)} (format parquet, compression zstd, {_ROW_GROUP}, use_tmp_file false)
            """
        )


def _select(column: Column) -> str:
    name = f'"{column.name}"'
    return f"""from_json({name}, '["VARCHAR"]') as {name}""" if column.type == "text[]" else name


def _type(column: Column) -> str:
    decimal = _DECIMAL.fullmatch(column.type)
    return f"DECIMAL({decimal[1]},{decimal[2]})" if decimal else _TYPES[column.type]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
