"""How far syncs are, in the database: `ops.sync_progress`, written about once a second while they run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import psycopg

from xeno_pipeline.database.connection import Connection, Database, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.report import Progress, StreamFailure, StreamResult
from xeno_pipeline.extraction.streams import SHOP
from xeno_pipeline.tenants import syncs
from xeno_pipeline.tenants.bisection import bisect

log = logging.getLogger(__name__)

DONE, FAILED = "done", "failed"
"""The last phase of a stream."""

_SECONDS_BETWEEN_WRITES = 1.0
_MOST_RECORDS = 2**63 - 1
_REASON_LENGTH = 2000


@dataclass(frozen=True)
class RecordedRun:
    """The run whose syncs are recorded.

    Args:
        by: who started it, for syncs that were not requested in `ops.syncs`.
        is_full: whether it reads histories again.
        streams: which it reads; empty: all.
    """

    run_id: str
    by: str
    is_full: bool = False
    streams: Sequence[str] = ()


@dataclass(frozen=True)
class _Row:
    phase: str
    records: int
    total: int | None = None
    reason: str | None = None


_Rows = Mapping[tuple[str, str], _Row]
"""By tenant and stream."""


class SyncProgress:
    """Writes the progress of a run's syncs from a thread of its own, so that the syncs never wait for it.

    Each write is one statement for all streams that have moved, in a transaction of its own. A write that fails is
    logged, and nothing else: a sync does not fail because its progress cannot be seen. A sync that was not requested is
    recorded when it reads something or fails, so that a store without changes costs no row.

    Args:
        database: where `ops` is.
        run: the run.
        sync_ids: the syncs that it has begun, by tenant.
        seconds_between: the shortest time between two writes.
    """

    def __init__(
        self,
        database: Database,
        run: RecordedRun,
        sync_ids: Mapping[str, int],
        seconds_between: float = _SECONDS_BETWEEN_WRITES,
    ) -> None:
        self._database, self._run, self._seconds_between = database, run, seconds_between
        self._sync_ids = dict(sync_ids)
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], _Row] = {}
        self._thread: threading.Thread | None = None
        self._moved, self._closed = threading.Event(), threading.Event()
        self._opened = ExitStack()
        self._connection: Connection | None = None

    def __enter__(self) -> SyncProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is pending."""
        self._closed.set()
        self._moved.set()
        if self._thread is not None:
            self._thread.join()

    def add(self, progress: Progress) -> None:
        """Remember how far a stream is. Safe to call from any thread."""
        total = None if progress.total is None else _bounded(progress.total)
        self._add(progress.tenant_id, progress.stream, _Row(progress.phase, _bounded(progress.done), total))

    def add_result(self, result: StreamResult) -> None:
        """Remember how a stream has ended. Safe to call from any thread."""
        if isinstance(result, StreamFailure):
            reason = safe_message(result.error).replace("\0", "").removeprefix(f"{result.tenant_id}: ")
            self._add(result.tenant_id, result.stream, _Row(FAILED, 0, None, reason[:_REASON_LENGTH]))
            return
        read_nothing = result.is_idle or (result.stream == SHOP and not result.rows_changed)
        if not read_nothing or result.tenant_id in self._sync_ids:
            rows = _bounded(result.rows_read)
            self._add(result.tenant_id, result.stream, _Row(DONE, rows, rows))

    def _add(self, tenant_id: str, stream: str, row: _Row) -> None:
        with self._lock:
            last = self._pending.get((tenant_id, stream))
            if last is not None and row.phase == FAILED:  # what was read until it failed stays visible
                row = replace(row, records=last.records, total=last.total)
            self._pending[tenant_id, stream] = row
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="sync-progress", daemon=True)
                self._thread.start()
        self._moved.set()

    def _write_all(self) -> None:
        with self._opened:
            while self._moved.wait():
                self._moved.clear()
                is_last = self._closed.is_set()  # nothing is added after it is set
                with self._lock:
                    pending, self._pending = self._pending, {}
                if pending:
                    self._write(pending)
                if is_last:
                    return
                self._closed.wait(self._seconds_between)

    def _write(self, rows: _Rows) -> None:
        """Write rows, if need be by another connection: the last one may have been idle for hours."""
        try:
            try:
                self._write_by_tenant(rows)
            except (psycopg.Error, DatabaseUnavailableError):
                self._disconnect()
                self._write_by_tenant(rows)
        except (psycopg.Error, DatabaseUnavailableError) as error:
            self._disconnect()
            log.warning("The progress of syncs could not be written: %s", safe_message(error))

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._opened.enter_context(self._database.connect(autocommit=True))
            self._connection.execute("set lock_timeout = '5s'")  # a removal may hold the tenant for longer
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._opened.close()

    def _write_by_tenant(self, rows: _Rows) -> None:
        """Write rows, without those of tenants for which that fails.

        Raises:
            DatabaseUnavailableError: there is no connection.
        """
        connection = self._connect()

        def write(tenant_ids: Sequence[str]) -> None:
            try:
                with connection.transaction():
                    known = {tenant_id: self._sync_id(connection, tenant_id) for tenant_id in tenant_ids}
                    _upsert(connection, known, {key: row for key, row in rows.items() if key[0] in known})
            except psycopg.OperationalError as error:
                if connection.closed:
                    raise DatabaseUnavailableError("The connection to the database was lost.") from error
                raise
            self._sync_ids |= known

        for tenant_id, error in bisect(sorted({tenant_id for tenant_id, _ in rows}), write)[1].items():
            log.warning("%s: the progress of its sync could not be written: %s", tenant_id, safe_message(error))

    def _sync_id(self, connection: Connection, tenant_id: str) -> int:
        """The tenant's sync of this run; it is recorded if it was not requested.

        Raises:
            TenantRemovedError: the tenant was removed.
        """
        if tenant_id in self._sync_ids:
            return self._sync_ids[tenant_id]
        run = self._run
        return syncs.record_unrequested(
            connection, run.run_id, tenant_id, is_full=run.is_full, streams=run.streams, by=run.by
        )


def _upsert(connection: Connection, sync_ids: Mapping[str, int], rows: _Rows) -> None:
    columns = [
        [sync_ids[tenant_id] for tenant_id, _ in rows],
        [tenant_id for tenant_id, _ in rows],
        [stream for _, stream in rows],
        [row.phase for row in rows.values()],
        [row.records for row in rows.values()],
        [row.total for row in rows.values()],
        [row.reason for row in rows.values()],
    ]
    connection.execute(
        """
        insert into ops.sync_progress as known (sync_id, tenant_id, stream, phase, records, total, reason)
        select * from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
        on conflict (sync_id, stream) do update
        set phase = excluded.phase, reason = excluded.reason, updated_at = clock_timestamp(),
            records = case excluded.phase when 'failed' then greatest(known.records, excluded.records)
                else excluded.records end,
            total = case excluded.phase when 'failed' then coalesce(excluded.total, known.total) else excluded.total end
        """,
        columns,
    )


def _bounded(count: int) -> int:
    """The count as the column holds it; Shopify's counts come from outside."""
    return min(max(count, 0), _MOST_RECORDS)
