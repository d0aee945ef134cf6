"""The sync of one stream of one tenant: its history by bulk operation, then what changed in pages."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.report import Progress, ProgressSink, StreamReport, empty_report
from xeno_pipeline.extraction.spans import Span
from xeno_pipeline.extraction.state import (
    OVERLAP,
    SyncState,
    advance_cursor,
    load_state,
    record_bulk_failure,
    record_bulk_success,
    record_history_loaded,
    record_synced,
    remember_bulk_operation,
)
from xeno_pipeline.extraction.streams import Stream
from xeno_pipeline.raw.copy import Row
from xeno_pipeline.raw.load import Completeness, Load
from xeno_pipeline.raw.mapping import Refuse, RowMapping
from xeno_pipeline.raw.set_aside import TOO_SLOW, UNIDENTIFIED, Refused, ids_of, only_set_aside, slow_gids
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.shopify.bulk import BulkOperation, BulkReader
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    AccessDeniedError,
    BulkDeniedError,
    BulkError,
    BulkRefusedError,
    SlowObjectError,
    TimedOutError,
)
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.pagination import Node, Page, Pager
from xeno_pipeline.shopify.queries import bulk_query, operation
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.onboarding import withheld
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before the first shop."""

_BULK_FAILURES = 2
"""Of a stream's history in a row, after which it is read in pages."""

_NODES_A_LOAD = 500
_TELL_EVERY = 5_000


class UnloadableError(XenoError):
    """What Shopify sent does not fit the tables."""


class IncompleteReadError(XenoError):
    """Fewer objects came than Shopify had announced."""


def node_key(node: Node) -> object:
    """What tells an object from others: its gid; one without is like no other."""
    gid = node.get("id")
    return gid if isinstance(gid, str) else object()


@dataclass(frozen=True)
class StreamSync:
    """Syncs one stream of one tenant.

    Args:
        stream: what to read.
        tenant: of whom.
        client: a client for this stream alone.
        database: where raw lies.
        spool: a folder for the result of a bulk operation while it is loaded.
        on_progress: told how far it is.
        span: where the history is read again, only what was created then; None: all of it.
    """

    stream: Stream
    tenant: Tenant
    client: ShopifyClient
    database: Database
    spool: Path
    on_progress: ProgressSink
    span: Span | None = None

    def run(self, *, full: bool = False, accept_deletions: bool = False) -> StreamReport:
        """Read the history where it was never read (or `full`), else what changed.

        Args:
            full: read the history again, and mark what is gone.
            accept_deletions: mark it however much it is.

        Raises:
            XenoError: it failed, and wrote nothing but whole objects.
        """
        started = time.monotonic()
        with self.database.connect() as connection:
            state = load_state(connection, self.tenant.tenant_id, self.stream.name)
        if state.history_loaded_at is None:
            report = replace(self, span=None)._read_history(state, accept_deletions)
        elif full:
            report = self._read_history(state, accept_deletions)
        else:
            report = self._read_changes(state)
        if self.span is None or state.history_loaded_at is None:  # else it read no changes
            with self.database.connect() as connection:
                record_synced(connection, self.tenant.tenant_id, [self.stream.name])
        report.record_cost(self.client.usage, time.monotonic() - started)
        return report

    # --- history ---

    def _read_history(self, state: SyncState, accept_deletions: bool) -> StreamReport:
        with self.database.connect() as connection:
            usage.refuse_history(connection, self.tenant.tenant_id)
        report = self._report("bulk", state)
        try:
            self._read_history_in_bulk(state, report, accept_deletions)
        except BulkRefusedError as refusal:
            report.notes.append(f"Bulk refused the query, so the history was read in pages. {refusal}")
            self._read_history_in_pages(state, report)
        except BulkError as failure:
            with self.database.connect() as connection:
                failures = record_bulk_failure(connection, self.tenant.tenant_id, self.stream.name)
            if failures < _BULK_FAILURES:
                raise  # the next sync starts another one
            log.warning("%s Pages are read instead.", failure)
            report.notes.append(
                f"{self.tenant.tenant_id}: bulk operations of {self.stream.name} failed {failures} times in a row (the "
                f"last {failure.reason}), so the history was read in pages, which mark nothing as deleted."
            )
            self._read_history_in_pages(state, report)
        except BulkDeniedError as denial:
            self._remember(None)
            raise self.explained(denial) from denial
        return report

    def _read_history_in_bulk(self, state: SyncState, report: StreamReport, accept_deletions: bool) -> None:
        announced = self._announced()
        reader = BulkReader(self.client, lambda running: self._tell("collecting", running.root_object_count, announced))
        running = self._adopt(reader, state) or reader.start(self._bulk_query())
        self._remember(running)
        waited = time.monotonic()
        completed = reader.wait(running)
        report.seconds_waiting += time.monotonic() - waited
        self._load_history(reader, completed, report, accept_deletions)

    def _adopt(self, reader: BulkReader, state: SyncState) -> BulkOperation | None:
        """The bulk operation that a dead run of this stream left behind, if its result can still be had."""
        left_behind = reader.find(state.bulk_operation_id) if state.bulk_operation_id else None
        if left_behind is None or left_behind.query.strip() != self._bulk_query().strip():
            return None
        if left_behind.can_be_adopted:
            log.info("%s: %s takes over %s.", self.tenant.tenant_id, self.stream.name, left_behind.id)
            return left_behind
        return None

    def explained(self, denial: BulkDeniedError) -> AccessDeniedError:
        """Why a bulk operation was denied, which it does not say itself."""
        needed = " and ".join((", ".join(self.stream.scopes[:-1]), self.stream.scopes[-1])).removeprefix(" and ")
        missing = withheld(self.stream.scopes, self.tenant.access_scopes)
        if missing:
            remedy = f"and lacks {', '.join(missing)}: grant the app what is missing, and approve it in the store."
        elif self.stream.is_personal:
            remedy = (
                "and has them, so the app lacks its approval for protected customer data: request it in the Partner "
                "Dashboard (API access)."
            )
        else:
            remedy = "and has them: install the app in the store again."
        problem = f"was denied (ACCESS_DENIED): to read {self.stream.name} the token needs {needed}, {remedy}"
        return AccessDeniedError(self.tenant.tenant_id, denial.operation, problem)

    def _bulk_query(self) -> str:
        return bulk_query(self.stream.bulk, query=self._filter(self.stream.created_filter))

    def _filter(self, field: str) -> str | None:
        """The search filter for what is to be read, by the name that the filter by creation has there."""
        return self.span.filter(field) if self.span else None

    def _remember(self, running: BulkOperation | None) -> None:
        with self.database.connect() as connection:
            id_ = running.id if running else None
            remember_bulk_operation(connection, self.tenant.tenant_id, self.stream.name, id_)

    def _load_history(
        self, reader: BulkReader, completed: BulkOperation, report: StreamReport, accept_deletions: bool
    ) -> None:
        self.spool.mkdir(parents=True, exist_ok=True)
        # An anonymous file: it holds customers' data, and vanishes with this process however that ends.
        with tempfile.TemporaryFile(dir=self.spool, buffering=1 << 20) as result:
            self._tell("downloading", 0, completed.object_count)
            reader.download(completed, result)
            report.bytes += result.tell()
            visible_since = self.stream.visible_since(self.tenant, completed.created_at)
            complete = None
            if self.stream.absence_means_deleted:
                # What the token sees moved on while the operation ran.
                seen_to_the_end = self.stream.visible_since(self.tenant, max(completed.created_at, datetime.now(UTC)))
                complete = Completeness(seen_to_the_end, accept_deletions)
                if self.span:
                    complete = complete.within(self.span.since, self.span.until)
            load = Load(
                *(self.tenant.tenant_id, self.stream.root, completed.created_at, complete),
                is_history=self.span is None,
            )

            def loadable(suppressed: Suppressed, refuse: Refuse) -> Iterator[Row]:
                refused: list[Refused] = []

                def note(misfit: Refused) -> None:
                    refused.append(misfit)
                    refuse(misfit)

                nodes = reader.nodes(completed, result, lambda: len(refused))
                told = self._told("loading", nodes, completed.object_count)
                return self._mapping().of_lines(told, suppressed, note)

            with self._writing() as connection:
                report.add(load.run(connection, loadable))
                if self.span is None:
                    self._history_is_in(connection, completed.created_at, visible_since)
                    report.cursor_after = completed.created_at
                record_bulk_success(connection, self.tenant.tenant_id, self.stream.name)

    def _read_history_in_pages(self, state: SyncState, report: StreamReport) -> None:
        """The slow way, for the times when bulk refuses the query or fails. It resumes, and marks nothing as gone."""
        report.mode = "pages"
        announced = self._announced()
        if self.span is not None:
            self._read_span_in_pages(report, announced)
            return
        since = BEGINNING if state.history_loaded_at or state.cursor_at is None else state.cursor_at - OVERLAP
        pages = self._pager().changes(since)
        read_up_to = self._load_pages(self._told_pages(pages, announced), report)
        report.cursor_after = max(filter(None, (read_up_to, state.cursor_at)), default=BEGINNING)
        with self.database.connect() as connection:
            if UNIDENTIFIED not in ids_of(connection, self.tenant.tenant_id, self.stream.root):
                self._check_complete(self._count_known(connection), announced)
            visible_since = self.stream.visible_since(self.tenant, datetime.now(UTC))
            self._history_is_in(connection, report.cursor_after, visible_since)

    def _read_span_in_pages(self, report: StreamReport, announced: int | None) -> None:
        filter_ = self._filter(self.stream.created_filter)
        assert filter_ is not None
        came = 0

        def counted() -> Iterator[Page]:
            nonlocal came
            for nodes in self._pager().matching(filter_):
                came += len(nodes)
                yield Page(nodes, None)

        self._load_pages(self._told_pages(counted(), announced), report)
        self._check_complete(came, announced)

    def _check_complete(self, came: int, announced: int | None) -> None:
        """Do nothing where as many objects came as Shopify has, or it did not say how many that are.

        Raises:
            IncompleteReadError: fewer did.
        """
        if announced is not None and came < announced:
            raise IncompleteReadError(
                f"{self.tenant.tenant_id}: {came:,} {self.stream.name} came where Shopify counts {announced:,}; "
                "what came is kept, run the sync again."
            )

    def _history_is_in(self, connection: Connection, cursor_at: datetime, visible_since: datetime | None) -> None:
        record_history_loaded(
            connection,
            self.tenant.tenant_id,
            self.stream.name,
            cursor_at=cursor_at,
            query_version=self.stream.query_version,
            visible_since=visible_since,
        )

    def _announced(self) -> int | None:
        """How many objects are to come; None where counting them takes the store too long, which stops no read."""
        try:
            return self.count_at_shopify(can_do_without=True)
        except TimedOutError as error:
            log.warning("%s The %s are read without knowing how many they are.", error, self.stream.name)
            return None

    def count_at_shopify(self, *, can_do_without: bool = False) -> int:
        """How many objects Shopify has, of those that are to be read.

        Args:
            can_do_without: whether to give up at once where it takes the store too long.
        """
        variables = {"query": self._filter("created_at"), "limit": None}
        answer = self.client.execute(operation(self.stream.count), variables, can_shrink=can_do_without)
        (count,) = answer.data.values()
        return int(count["count"])

    def _count_known(self, connection: Connection) -> int:
        """How many objects of Shopify's are in raw, or set aside because they do not fit."""
        query = f"""
            select
                (select count(*) from raw.{self.stream.root.name} where tenant_id = %(tenant)s and deleted_at is null)
                + (select count(*) from ({only_set_aside(self.stream.root)}) as aside)
            """
        row = connection.execute(query, {"tenant": self.tenant.tenant_id}).fetchone()
        return row[0] if row else 0

    # --- changes ---

    def _read_changes(self, state: SyncState) -> StreamReport:
        assert state.cursor_at is not None
        report = self._report("pages", state)
        if state.query_version != self.stream.query_version:
            report.notes.append(
                f"{self.tenant.tenant_id}: the history of {self.stream.name} was read by an older query, which may "
                f"lack fields; `xeno sync {self.tenant.tenant_id} --stream {self.stream.name} --full` reads it anew."
            )
        pages = self._pager().changes(state.cursor_at - OVERLAP)
        read_up_to = self._load_pages(self._told_pages(pages, None), report)
        report.cursor_after = max(state.cursor_at, read_up_to or state.cursor_at)
        return report

    def _load_pages(self, pages: Iterable[Page], report: StreamReport) -> datetime | None:
        """Load pages, some at a time, each batch with the cursor that it brings.

        Returns:
            The instant up to which all changes are read; None where nothing came.

        Raises:
            Exception: the pages broke off; what came before is loaded, so that the next sync goes on there.
        """
        batch: dict[object, Node] = {}
        read_up_to: datetime | None = None
        read_at = datetime.now(UTC)  # before the first page is asked for: a deletion told meanwhile is newer
        failures: list[Exception] = []
        for page in _until_failure(pages, failures):
            batch |= {node_key(node): node for node in page.nodes}  # of an object that came twice, the later one
            read_up_to = page.read_up_to or read_up_to
            if len(batch) >= _NODES_A_LOAD:
                self._load_batch(batch, read_at, read_up_to, report)
                batch, read_at = {}, datetime.now(UTC)
        if batch or read_up_to:
            self._load_batch(batch, read_at, read_up_to, report)
        for failure in failures:
            if isinstance(failure, SlowObjectError):
                self._set_aside(failure, report)
            raise failure
        return read_up_to

    def _set_aside(self, slow: SlowObjectError, report: StreamReport) -> None:
        """Note that an object takes Shopify too long: where it still does, the next sync goes on without it."""
        refused = Refused(TOO_SLOW, number(slow.gid), gid=slow.gid, is_root=True, updated_at=slow.changed_at)

        def only_that(_suppressed: Suppressed, refuse: Refuse) -> list[Row]:
            refuse(refused)
            return []

        with self._writing() as connection:
            load = Load(self.tenant.tenant_id, self.stream.root, datetime.now(UTC))
            report.add(load.run(connection, only_that))

    def _load_batch(
        self, batch: dict[object, Node], read_at: datetime, read_up_to: datetime | None, report: StreamReport
    ) -> None:
        load = Load(self.tenant.tenant_id, self.stream.root, read_at)
        with self._writing() as connection:
            if batch:
                report.add(load.run(connection, self._mapping().of_objects(list(batch.values()))))
            if read_up_to is not None:
                advance_cursor(connection, self.tenant.tenant_id, self.stream.name, read_up_to)

    def load(self, batches: Iterable[list[Node]], report: StreamReport) -> None:
        """Load objects that were asked for by id or by a search; how far changes were read stays as it is.

        Args:
            batches: read as they are asked for.
            report: told what they changed.
        """
        self._load_pages((Page(nodes, None) for nodes in batches), report)

    # --- shared ---

    def _report(self, mode: str, state: SyncState) -> StreamReport:
        return empty_report(self.tenant.tenant_id, self.stream, mode, state.cursor_at)

    def _pager(self) -> Pager:
        with self.database.connect() as connection:
            slow = slow_gids(connection, self.tenant.tenant_id, self.stream.root)
        return Pager(self.client, self.stream.pages, slow)

    def _mapping(self) -> RowMapping:
        return RowMapping(self.stream.root, self.tenant.tenant_id, self.stream.query_version)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction; what does not fit the tables is told without the values, which may be personal."""
        try:
            with self.database.connect() as connection:
                yield connection
        except psycopg.DataError as error:
            raise UnloadableError(
                f"{self.tenant.tenant_id}: {self.stream.name} from Shopify hold a value that its column cannot hold "
                f"({type(error).__name__}); nothing was loaded. Run the sync again; if it stays so, report it."
            ) from None

    def _tell(self, phase: str, done: int, total: int | None = None) -> None:
        self.on_progress(Progress(self.tenant.tenant_id, self.stream.name, phase, done, total))

    def _told(self, phase: str, nodes: Iterable[Node], total: int) -> Iterator[Node]:
        for done, node in enumerate(nodes):
            if done % _TELL_EVERY == 0:
                self._tell(phase, done, total)
            yield node
        self._tell(phase, total, total)

    def _told_pages(self, pages: Iterable[Page], total: int | None) -> Iterator[Page]:
        done = 0
        for page in pages:
            done += len(page.nodes)
            self._tell("reading", done, total)
            yield page


def _until_failure(pages: Iterable[Page], failures: list[Exception]) -> Iterator[Page]:
    """The pages up to the one that could not be read; why it could not is put into a list."""
    try:
        yield from pages
    except Exception as error:  # noqa: BLE001 - it is raised once what came before is loaded
        failures.append(error)
