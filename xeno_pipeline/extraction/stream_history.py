"""Reading the history of one stream: by bulk operation, or in pages where bulk fails."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.state import (
    OVERLAP,
    SyncState,
    record_bulk_failure,
    record_bulk_success,
    record_history_loaded,
    remember_bulk_operation,
)
from xeno_pipeline.extraction.stream_loader import StreamLoader
from xeno_pipeline.extraction.streams import Stream
from xeno_pipeline.raw.bulk_rows import BlockEnd
from xeno_pipeline.raw.completeness import Completeness
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import Refuse
from xeno_pipeline.raw.mapping_process import map_result
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.set_aside import UNIDENTIFIED, ids_of
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.shopify.bulk import BulkOperation, BulkReader
from xeno_pipeline.shopify.bulk_result import MalformedLineError
from xeno_pipeline.shopify.errors import BulkDeniedError, BulkError, BulkRefusedError, TimedOutError
from xeno_pipeline.shopify.pagination import Page
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before the first shop."""

_BULK_FAILURES = 2
"""So many bulk operations of a stream's history in a row may fail before it is read in pages."""


class IncompleteReadError(XenoError):
    """Fewer objects came than Shopify counts."""


@dataclass(frozen=True)
class HistoryReader:
    """Reads the history of a stream.

    Args:
        accept_deletions: mark absent objects as deleted however many they are.
    """

    loader: StreamLoader
    accept_deletions: bool = False

    @property
    def _stream(self) -> Stream:
        return self.loader.stream

    @property
    def _tenant(self) -> Tenant:
        return self.loader.tenant

    @property
    def _tenant_id(self) -> str:
        return self.loader.tenant.tenant_id

    def read(self, state: SyncState) -> StreamReport:
        """Read the history: in bulk, or in pages where Shopify refuses the query or bulk operations keep failing."""
        with self.loader.database.connect() as connection:
            usage.check_history_allowed(connection, self._tenant_id)
        report = self.loader.new_report("bulk", state)
        try:
            self._read_in_bulk(state, report)
        except BulkRefusedError as refusal:
            report.notes.append(f"Bulk refused the query, so the history was read in pages. {refusal}")
            self._read_in_pages(state, report)
        except BulkError as failure:
            with self.loader.database.connect() as connection:
                failures = record_bulk_failure(connection, self._tenant_id, self._stream.name)
            if failures < _BULK_FAILURES:
                raise  # the next sync starts another one
            log.warning("%s Pages are read instead.", failure)
            report.notes.append(
                f"{self._tenant_id}: bulk operations of {self._stream.name} failed {failures} times in a row (the "
                f"last {failure.reason}), so the history was read in pages, which mark nothing as deleted."
            )
            self._read_in_pages(state, report)
        except BulkDeniedError as denial:
            self._remember_operation(None)
            raise self.loader.explain_denial(denial) from denial
        return report

    def _read_in_bulk(self, state: SyncState, report: StreamReport) -> None:
        expected = self._expected_count()
        reader = BulkReader(
            self.loader.client,
            lambda running: self.loader.report_progress("collecting", running.root_object_count, expected),
        )
        running = self._adopt(reader, state) or reader.start(self._bulk_query())
        self._remember_operation(running)
        waited = time.monotonic()
        completed = reader.wait(running)
        report.seconds_waiting += time.monotonic() - waited
        self._load_result(reader, completed, report)

    def _adopt(self, reader: BulkReader, state: SyncState) -> BulkOperation | None:
        """The bulk operation that a killed run of this stream left behind, if its result is still available."""
        left_behind = reader.find(state.bulk_operation_id) if state.bulk_operation_id else None
        if left_behind is None or left_behind.query.strip() != self._bulk_query().strip():
            return None
        if left_behind.can_be_adopted:
            log.info("%s: %s takes over %s.", self._tenant_id, self._stream.name, left_behind.id)
            return left_behind
        return None

    def _bulk_query(self) -> str:
        return bulk_query(self._stream.bulk, query=self.loader.filter(self._stream.created_filter))

    def _remember_operation(self, running: BulkOperation | None) -> None:
        with self.loader.database.connect() as connection:
            id_ = running.id if running else None
            remember_bulk_operation(connection, self._tenant_id, self._stream.name, id_)

    def _load_result(self, reader: BulkReader, completed: BulkOperation, report: StreamReport) -> None:
        self.loader.spool.mkdir(parents=True, exist_ok=True)
        # An anonymous file: it holds personal data, and disappears with this process however that ends.
        with tempfile.TemporaryFile(dir=self.loader.spool, buffering=1 << 20) as result:
            self.loader.report_progress("downloading", 0, completed.object_count)
            reader.download(completed, result)
            report.bytes += result.tell()
            visible_since = self._stream.visible_since(self._tenant, completed.created_at)
            complete = None
            if self._stream.absence_means_deleted:
                # The window that the token sees moved while the operation ran.
                visible_at_end = self._stream.visible_since(self._tenant, max(completed.created_at, datetime.now(UTC)))
                complete = Completeness(visible_at_end, self.accept_deletions)
                if self.loader.span:
                    complete = complete.within(self.loader.span.since, self.loader.span.until)
            load = Load(
                *(self._tenant_id, self._stream.root, completed.created_at, complete),
                is_history=self.loader.span is None,
            )

            def batches(suppressed: Suppressed, refuse: Refuse) -> Generator[Batch, None, None]:
                try:
                    refused, lines, roots = yield from self._batches(completed, result, suppressed, refuse)
                except MalformedLineError as error:
                    raise reader.malformed_line(completed, error.line) from None
                reader.check_counts(completed, lines, roots, unclear=refused)

            with self.loader.transaction() as connection:
                report.add(load.run(connection, batches))
                if self.loader.span is None:
                    self._record_loaded(connection, completed.created_at, visible_since)
                    report.cursor_after = completed.created_at
                record_bulk_success(connection, self._tenant_id, self._stream.name)

    def _batches(
        self, completed: BulkOperation, result: IO[bytes], suppressed: Suppressed, refuse: Refuse
    ) -> Generator[Batch, None, tuple[int, int, int]]:
        """The rows of a result. Returns how many records were refused, how many lines it has, and how many roots."""
        refused = lines = roots = 0
        self.loader.report_progress("loading", 0, completed.object_count)
        with closing(map_result(result, self.loader.mapping(), suppressed)) as messages:
            for message in messages:
                if isinstance(message, Refused):
                    refused += 1
                    refuse(message)
                elif isinstance(message, BlockEnd):
                    lines, roots = lines + message.lines, roots + message.roots
                    self.loader.report_progress("loading", lines, completed.object_count)
                else:
                    yield message
        return refused, lines, roots

    def _read_in_pages(self, state: SyncState, report: StreamReport) -> None:
        """Read in pages: slower, but where it breaks off the next sync resumes. Marks nothing as deleted."""
        report.mode = "pages"
        expected = self._expected_count()
        if self.loader.span is not None:
            self._read_span_in_pages(report, expected)
            return
        since = BEGINNING if state.history_loaded_at or state.cursor_at is None else state.cursor_at - OVERLAP
        pages = self.loader.pager().changes(since)
        read_up_to = self.loader.load_pages(self.loader.track_pages(pages, expected), report)
        report.cursor_after = max(filter(None, (read_up_to, state.cursor_at)), default=BEGINNING)
        with self.loader.database.connect() as connection:
            if UNIDENTIFIED not in ids_of(connection, self._tenant_id, self._stream.root):
                self._check_complete(self.loader.count_in_raw(connection), expected)
            visible_since = self._stream.visible_since(self._tenant, datetime.now(UTC))
            self._record_loaded(connection, report.cursor_after, visible_since)

    def _read_span_in_pages(self, report: StreamReport, expected: int | None) -> None:
        filter_ = self.loader.filter(self._stream.created_filter)
        assert filter_ is not None
        came = 0

        def counted() -> Iterator[Page]:
            nonlocal came
            for nodes in self.loader.pager().matching(filter_):
                came += len(nodes)
                yield Page(nodes, None)

        self.loader.load_pages(self.loader.track_pages(counted(), expected), report)
        self._check_complete(came, expected)

    def _check_complete(self, came: int, expected: int | None) -> None:
        """Check that as many objects came as Shopify counts; `expected` is None where that is not known.

        Raises:
            IncompleteReadError: fewer came.
        """
        if expected is not None and came < expected:
            raise IncompleteReadError(
                f"{self._tenant_id}: {came:,} {self._stream.name} came where Shopify counts {expected:,}; "
                "what came is kept, run the sync again."
            )

    def _record_loaded(self, connection: Connection, cursor_at: datetime, visible_since: datetime | None) -> None:
        record_history_loaded(
            connection,
            self._tenant_id,
            self._stream.name,
            cursor_at=cursor_at,
            query_version=self._stream.query_version,
            visible_since=visible_since,
        )

    def _expected_count(self) -> int | None:
        """How many objects to expect; None where counting them takes the store too long."""
        try:
            return self.loader.count_at_shopify(is_optional=True)
        except TimedOutError as error:
            log.warning("%s The %s are read without a count.", error, self._stream.name)
            return None
