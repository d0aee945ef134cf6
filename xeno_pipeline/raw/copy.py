"""Streaming rows to COPY: one thread makes rows while another sends the previous ones."""

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
_SWITCH_SECONDS = 0.0005

_Batch = tuple[str, list[bytes]]

REFUSALS = (
    psycopg.DataError,
    psycopg.errors.NotNullViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
"""The errors with which PostgreSQL rejects a row for its values."""

RefuseRow = Callable[[str, bytes, psycopg.Error], None]
"""Called with each row of a table that PostgreSQL rejects."""


def copy_rows(
    connection: Connection,
    rows: Iterable[Row],
    targets: Mapping[str, sql.Composable],
    refuse: RefuseRow | None = None,
) -> Counter[str]:
    """Copy rows into the tables they name, holding no more than a few megabytes at once.

    Args:
        connection: used by this call alone until it returns.
        rows: in any order of tables.
        targets: for each table's name, the table and columns to copy into.
        refuse: called in another thread with each row that PostgreSQL rejects; the other rows are copied. It costs a
            savepoint for each megabyte. None: the first such row is an error.

    Returns:
        How many rows were copied into each table.

    Raises:
        psycopg.Error: PostgreSQL rejected a row, or failed; the transaction is then aborted.
    """
    counts: Counter[str] = Counter()
    with _short_switch_interval(), _one_cpu(), _Sender(connection, targets, refuse) as sender:
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


class _SwitchInterval:
    """Python's thread switch interval, which is one for the whole process: shortened while any load runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads = 0
        self._usual = 0.0

    def shorten(self) -> None:
        """Shorten it for one more load."""
        with self._lock:
            if self._loads == 0:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(_SWITCH_SECONDS)
            self._loads += 1

    def restore(self) -> None:
        """Restore it once no load is left."""
        with self._lock:
            self._loads -= 1
            if self._loads == 0:
                sys.setswitchinterval(self._usual)


_switch_interval = _SwitchInterval()


@contextmanager
def _short_switch_interval() -> Iterator[None]:
    """Let Python switch threads ten times as often as by default.

    PostgreSQL empties its socket in less than the usual 5 ms. It would then wait, again and again, until the thread
    that makes rows yields to the one that sends them: an eighth of a load's time.
    """
    _switch_interval.shorten()
    try:
        yield
    finally:
        _switch_interval.restore()


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Keep this thread, and those it starts in the meantime, on one CPU, the same for all loads of a process.

    The GIL lets only one of them run anyway. On several CPUs, each switch has to wake one, and PostgreSQL is woken on
    the CPU that makes rows while another is idle: a load took 30 per cent longer on two cores.
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
    """A thread that sends batches one after the other. Its failure is raised in the thread that feeds it."""

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
        """Queue a batch; wait while enough are queued."""
        self._raise_failure()
        self._batches.put(batch)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            if self._failure is None:  # after a failure the rest is drained, so that the feeder does not block
                try:
                    (self._copy if self._refuse is None else self._copy_accepted)(*batch)
                except BaseException as failure:  # noqa: BLE001 - raised again where the rows are made
                    self._failure = failure

    def _copy_accepted(self, table: str, rows: list[bytes]) -> None:
        """Copy rows except those that PostgreSQL rejects, which are found by bisection."""
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
            self._copy_accepted(table, rows[:middle])
            self._copy_accepted(table, rows[middle:])

    def _copy(self, table: str, rows: list[bytes]) -> None:
        statement = sql.SQL("copy {} from stdin").format(self._targets[table])
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(b"\n".join([*rows, b""]))
