"""Exports by the owner of the database, who sees personal columns: each of those is in the audit log."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.exports.copying import no_counter
from xeno_pipeline.exports.csv import stream_csv
from xeno_pipeline.exports.draft import draft_of
from xeno_pipeline.exports.parquet import check_parquet, write_parquet
from xeno_pipeline.exports.selection import Selection
from xeno_pipeline.tenants import audit, registry

_CHUNK_BYTES = 256 * 1024
_TURN_SECONDS = 0.0005


class Exporter:
    """Exports marts of any tenant.

    Args:
        database: migrated, as its owner.
        on_rows: called now and then with the number of rows so far.
    """

    def __init__(self, database: Database, on_rows: Callable[[int], None] = no_counter) -> None:
        self._database = database
        self._on_rows = on_rows

    def write(self, selection: Selection, file_format: str, target: Path) -> int:
        """Write a file, readable by its owner only, which replaces what is there once it is whole.

        Args:
            selection: the rows.
            file_format: csv or parquet.
            target: where; see `check_target`.

        Returns:
            The number of rows.

        Raises:
            UnknownTenantError: there is no such tenant.
            XenoError: see `stream_csv` and `write_parquet`.
        """
        counted = 0

        def count(rows: int) -> None:
            nonlocal counted
            counted = rows
            self._on_rows(rows)

        with self._owner(selection, file_format) as connection, draft_of(target) as draft, _short_turns():
            if file_format == "parquet":
                write_parquet(connection, selection, draft, count)
            else:
                with draft.open("wb") as file:
                    file.writelines(stream_csv(connection, selection, count))
        return counted

    def stream(self, selection: Selection, file_format: str) -> Generator[bytes, None, None]:
        """The same in chunks. Parquet is made in a temporary file first."""
        with self._owner(selection, file_format) as connection:
            if file_format == "parquet":
                yield from _parquet_chunks(connection, selection, self._on_rows)
            else:
                yield from stream_csv(connection, selection, self._on_rows)

    @contextmanager
    def _owner(self, selection: Selection, file_format: str) -> Iterator[Connection]:
        """The owner's connection with the marts in its search path."""
        if file_format == "parquet":
            check_parquet()
        with self._database.connect() as connection:
            registry.get(connection, selection.tenant_id)
            if selection.mart.is_personal:
                reason = f"{selection.mart.name} as {file_format}, by `xeno export`"
                audit.record(connection, selection.tenant_id, "exported", reason)
        with self._database.connect() as connection:
            connection.execute("set local search_path = marts")
            yield connection


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads that hand chunks to each other wait less for their turn; for a process that does nothing else."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _parquet_chunks(
    connection: Connection, selection: Selection, on_rows: Callable[[int], None]
) -> Generator[bytes, None, None]:
    with tempfile.NamedTemporaryFile(prefix="xeno-export-", suffix=".parquet") as file:
        write_parquet(connection, selection, Path(file.name), on_rows)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
