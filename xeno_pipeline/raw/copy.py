"""Streaming rows to COPY: the rows are made in one thread while another sends the ones made before."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection

Row = tuple[str, bytes]
"""A table's name, and one of its rows in COPY's text format."""

_FLUSH_BYTES = 1 << 20
_BATCHES_IN_FLIGHT = 2
_SECONDS_A_TURN = 0.0005

_Batch = tuple[str, list[bytes]]

REFUSALS = (
    psycopg.DataError,
    psycopg.errors.NotNullViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
"""How PostgreSQL says that it does not take a row for what is in it."""

RefuseRow = Callable[[str, bytes, psycopg.Error], None]
"""Told of a table's row that PostgreSQL does not take."""


def copy_rows(
    connection: Connection,
    rows: Iterable[Row],
    targets: Mapping[str, sql.Composable],
    refuse: RefuseRow | None = None,
) -> Counter[str]:
    """Copy rows into the tables they name, holding no more than a few megabytes at once.

    Args:
        connection: used by this call alone until it returns.
        rows: what to copy, in any order of tables.
        targets: for each table's name, the table and columns to copy into.
        refuse: told, in another thread, of each row that PostgreSQL refuses, and the others are copied; it takes a
            savepoint for each megabyte. None: the first such row is an error.

    Returns:
        How many rows went into each table, those that were refused apart.

    Raises:
        psycopg.Error: PostgreSQL refused a row, or failed; the transaction is then void.
    """
    counts: Counter[str] = Counter()
    _take_short_turns()
    with _one_cpu(), _Sender(connection, targets, refuse) as sender:
        buffers: defaultdict[str, list[bytes]] = defaultdict(list)
        sizes: Counter[str] = Counter()
        for table, row in rows:
            buffer = buffers[table]
            buffer.append(row)
            sizes[table] += len(row)
            if sizes[table] > _FLUSH_BYTES:
                counts[table] += len(buffer)
                sender.send((table, buffer))
                buffers[table], sizes[table] = [], 0
        for table, buffer in buffers.items():
            if buffer:
                counts[table] += len(buffer)
                sender.send((table, buffer))
    counts.subtract(sender.refused)
    return counts


def _take_short_turns() -> None:
    """Let Python's threads take turns ten times as often as they do by default, from now on.

    PostgreSQL empties its socket within one of the usual turns of 5 ms, and would then wait, again and again, until
    the thread that makes rows lets the one go on that sends them: an eighth of a load.
    """
    sys.setswitchinterval(_SECONDS_A_TURN)


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Keep this thread, and those it starts meanwhile, on one CPU; all loads of a process share it.

    Under one GIL they take turns anyway. Spread over CPUs, each turn waits for one to wake, and PostgreSQL is woken
    on the one where rows are being made while another is idle: a load then took 30 per cent longer on two cores.
    """
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class _Sender:
    """A thread that sends batches one after the other; whatever stops it is raised to whoever feeds it."""

    def __init__(self, connection: Connection, targets: Mapping[str, sql.Composable], refuse: RefuseRow | None) -> None:
        self.refused: Counter[str] = Counter()
        self._connection = connection
        self._targets = targets
        self._refuse = refuse
        self._batches: queue.Queue[_Batch | None] = queue.Queue(_BATCHES_IN_FLIGHT)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="copy", daemon=True)

    def __enter__(self) -> _Sender:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._batches.put(None)
        self._thread.join()
        if kind is None:
            self._raise_failure()

    def send(self, batch: _Batch) -> None:
        """Hand over a batch; waits while enough are under way."""
        self._raise_failure()
        self._batches.put(batch)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            if self._failure is None:  # after a failure the rest is drained, so that nobody waits in vain
                try:
                    (self._copy if self._refuse is None else self._copy_what_fits)(*batch)
                except BaseException as failure:  # noqa: BLE001 - raised again where the rows are made
                    self._failure = failure

    def _copy_what_fits(self, table: str, rows: list[bytes]) -> None:
        """Copy rows but for those that PostgreSQL refuses, which are found by halves."""
        assert self._refuse is not None
        try:
            with self._connection.transaction():
                self._copy(table, rows)
        except REFUSALS as error:
            if len(rows) == 1:
                self.refused[table] += 1
                self._refuse(table, rows[0], error)
                return
            middle = len(rows) // 2
            self._copy_what_fits(table, rows[:middle])
            self._copy_what_fits(table, rows[middle:])

    def _copy(self, table: str, rows: list[bytes]) -> None:
        statement = sql.SQL("copy {} from stdin").format(self._targets[table])
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(b"\n".join([*rows, b""]))
