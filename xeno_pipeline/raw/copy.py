"""Copying batches of rows into tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw.rows import Batch

REFUSALS = (
    psycopg.DataError,
    psycopg.errors.NotNullViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
"""The errors with which PostgreSQL rejects a row for its values."""

RefuseRow = Callable[[str, bytes, psycopg.Error], None]
"""Called with each row of a table that PostgreSQL rejects."""


def copy_batches(
    connection: Connection,
    batches: Iterable[Batch],
    targets: Mapping[str, sql.Composable],
    refuse: RefuseRow | None = None,
) -> Counter[str]:
    """Copy rows into the tables they name, one batch after the other.

    Args:
        connection: its transaction is the caller's.
        batches: in any order of tables.
        targets: for each table's name, the table and columns to copy into.
        refuse: called with each row that PostgreSQL rejects; the other rows are copied. It costs a savepoint for each
            batch. None: the first such row is an error.

    Returns:
        How many rows were copied into each table.

    Raises:
        psycopg.Error: PostgreSQL rejected a row, or failed; the transaction is then aborted.
    """
    copier = _Copier(connection, targets)
    counts: Counter[str] = Counter()
    for batch in batches:
        if refuse is None:
            copier.copy(batch.table, batch.data)
            counts[batch.table] += batch.count
        else:
            rows = BytesIO(batch.data).readlines()
            counts[batch.table] += copier.copy_accepted(batch.table, rows, refuse)
    return counts


@dataclass(frozen=True)
class _Copier:
    connection: Connection
    targets: Mapping[str, sql.Composable]

    def copy(self, table: str, rows: bytes) -> None:
        statement = sql.SQL("copy {} from stdin").format(self.targets[table])
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(rows)

    def copy_accepted(self, table: str, rows: list[bytes], refuse: RefuseRow) -> int:
        """Copy rows except those that PostgreSQL rejects, which are found by bisection. Returns how many it took."""
        try:
            with self.connection.transaction():
                self.copy(table, b"".join(rows))
        except REFUSALS as error:
            if len(rows) == 1:
                refuse(table, rows[0], error)
                return 0
            middle = len(rows) // 2
            return sum(self.copy_accepted(table, half, refuse) for half in (rows[:middle], rows[middle:]))
        return len(rows)
