"""Comparing raw with Shopify, and mending what differs: changes can be missed, and deletions are often never told.

Counts are compared by window of creation. Where they differ the ids of that window are read in bulk, and once a week
all of them: equal counts may hide one object too many and another too few. What raw lacks is read by its ids; what
Shopify has no more is marked as gone, by the rule of a complete load. Windows are whole days of the shop's, up to the
last one that a sync has covered, so that nothing differs merely because it is new.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.safe_messages import safe_message, safe_traceback
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.reconciliation_results import Reconciliation, latest_of, save
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult, empty_report
from xeno_pipeline.extraction.spans import Span
from xeno_pipeline.extraction.state import OVERLAP, SyncState, load_states
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import SHOP, STREAMS, Stream
from xeno_pipeline.extraction.sync import TENANTS_AT_ONCE, Syncer
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.id_comparison import IdComparison, SeenId
from xeno_pipeline.raw.load import Completeness, Load
from xeno_pipeline.raw.set_aside import only_set_aside
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.errors import BulkDeniedError, BulkError, BulkRefusedError
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.pagination import Pager
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.shopify.records import changed_at, number_of
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.zones import UnknownZoneError, zone_of

log = logging.getLogger(__name__)

_WINDOWS_END_BEFORE = (0, 7, 30, 90, 365, 1095)
"""Days before the last one: what is missed is mostly recent, and small windows are read again at little cost."""

_FULL_EVERY = timedelta(days=6, hours=12)
"""A week, less what nights differ in."""

_MOST_READ_AGAIN = 20_000
"""By their ids. Where more is missing, the history is to be read again."""

_DIGITS_OF_BIGINT = 19

_CUSTOMERS = next(stream for stream in STREAMS if stream.root is raw.CUSTOMERS)

_MOST_CUSTOMERS = 100
"""Who are read again in one night, and whose orders are searched for."""


class TooManyGapsError(XenoError):
    """Raw lacks more than is worth reading by its ids."""


@dataclass(frozen=True)
class ReconcileOptions:
    """How thoroughly to compare.

    Args:
        full: read all ids, whatever the counts say.
        accept_deletions: mark what is gone however much it is.
    """

    full: bool = False
    accept_deletions: bool = False


def reconcile_tenants(syncer: Syncer, tenants: Sequence[Tenant], options: ReconcileOptions) -> list[StreamResult]:
    """Reconcile several tenants side by side; the failure of one is a result like any other.

    Args:
        syncer: what reads those tenants' streams otherwise.
        tenants: of whom; what was never read of them is left out.
        options: how thoroughly.

    Returns:
        A report or a failure for each tenant and stream; `ops.reconciliations` holds the figures.
    """
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="reconcile") as pool:
        results = list(pool.map(lambda tenant: _try_tenant(syncer, tenant, options), tenants))
    return [result for of_tenant in results for result in of_tenant]


def _try_tenant(syncer: Syncer, tenant: Tenant, options: ReconcileOptions) -> list[StreamResult]:
    """Reconcile a tenant; what fails before or after its streams is its failure alone."""
    try:
        return _reconcile_tenant(syncer, tenant, options)
    except Exception as error:  # noqa: BLE001 - a failure is a result like any other
        return [_failure(tenant, SHOP, error)]


def _reconcile_tenant(syncer: Syncer, tenant: Tenant, options: ReconcileOptions) -> list[StreamResult]:
    with syncer.database.connect() as connection:
        states = load_states(connection, tenant.tenant_id)
        last = {found.stream: found for found in latest_of(connection, [tenant.tenant_id])}
        is_exhausted = usage.by_tenant(connection, tenant.tenant_id)[tenant.tenant_id].is_exhausted
    results: list[StreamResult] = []
    for stream in STREAMS:
        state = states.get(stream.name, SyncState())
        if state.history_loaded_at is None or state.synced_at is None:
            continue
        read_in_full_at = last[stream.name].read_in_full_at if stream.name in last else None
        is_time = read_in_full_at is None or read_in_full_at < datetime.now(UTC) - _FULL_EVERY
        deep = replace(options, full=options.full or (is_time and not is_exhausted))
        covered = state.synced_at - OVERLAP
        results.append(_attempt(syncer, tenant, stream, covered, deep))
    return results


def _attempt(
    syncer: Syncer, tenant: Tenant, stream: Stream, covered: datetime, options: ReconcileOptions
) -> StreamResult:
    """Reconcile one stream, and keep what was found; a failure is a result like any other."""
    now = datetime.now(UTC)
    found = Reconciliation(tenant.tenant_id, stream.name, _night(tenant, now), now)
    result: StreamResult
    try:
        with closing(syncer.client_of(tenant)) as client:
            sync = StreamSync(stream, tenant, client, syncer.database, syncer.spool, syncer.on_progress)
            result = _StreamReconciliation(sync, found, options, covered).run()
    except Exception as error:  # noqa: BLE001 - a failure is a result like any other
        found.error = safe_message(error)
        result = _failure(tenant, stream.name, error)
    found.finished_at = datetime.now(UTC)
    try:
        with syncer.database.connect() as connection:
            save(connection, found)
    except Exception as error:  # noqa: BLE001 - likewise; why the comparison failed says more
        return result if isinstance(result, StreamFailure) else _failure(tenant, stream.name, error)
    return result


def _night(tenant: Tenant, now: datetime) -> date:
    """The date in the shop; by UTC where its time zone is not known, which is why the comparison then fails."""
    try:
        return now.astimezone(zone_of(tenant.tenant_id, tenant.iana_timezone)).date()
    except UnknownZoneError:
        return now.date()


def _failure(tenant: Tenant, stream: str, error: Exception) -> StreamFailure:
    log.debug("%s: %s could not be reconciled. %s", tenant.tenant_id, stream, safe_traceback(error))
    return StreamFailure(tenant.tenant_id, stream, error)


@dataclass(frozen=True)
class _StreamReconciliation:
    """The reconciliation of one stream of one tenant.

    Args:
        sync: reads and loads the stream otherwise.
        found: told what differed.
        options: how thoroughly to compare.
        covered: what was created up to this instant should be in raw.
    """

    sync: StreamSync
    found: Reconciliation
    options: ReconcileOptions
    covered: datetime

    def run(self) -> StreamReport:
        """Compare, and mend what differs.

        Raises:
            XenoError: it could not be done, or not to its end; what was mended by then stays.
        """
        started = time.monotonic()
        stream = self.sync.stream
        report = empty_report(self.sync.tenant.tenant_id, stream, "counts", self.covered)
        windows = self._windows()
        differing = [window for window in windows if stream.differs(*self._counts(window))]
        self.found.windows, self.found.windows_differing = len(windows), len(differing)
        whole = Span(windows[0].zone, windows[-1].first, windows[0].last)
        is_complete = True
        for span in [whole] if self.options.full else differing:
            report.mode = "ids"
            is_complete = self._compare_ids(span, report) and is_complete
        if self.options.full and is_complete:
            self.found.read_in_full_at = self.found.started_at
        if stream.root is raw.ORDERS and self.sync.tenant.sees_all_orders:
            self.found.customers_differing = self._compare_customers(report)
        self.found.at_shopify, self.found.in_raw = self._counts(whole)
        report.record_cost(self.sync.client.usage, time.monotonic() - started)
        return report

    def _windows(self) -> list[Span]:
        """Days of creation, the newest first, as far back as the token sees."""
        zone = zone_of(self.sync.tenant.tenant_id, self.sync.tenant.iana_timezone)
        newest = self.covered.astimezone(zone).date() - timedelta(days=1)
        visible_since = self.sync.stream.visible_since(self.sync.tenant, self.covered)
        oldest = visible_since.astimezone(zone).date() + timedelta(days=1) if visible_since else None
        ends = [newest - timedelta(days=days) for days in _WINDOWS_END_BEFORE]
        begins: list[date | None] = [*(end + timedelta(days=1) for end in ends[1:]), None]
        return [
            Span(zone, max((day for day in (begin, oldest) if day), default=None), end)
            for begin, end in zip(begins, ends, strict=True)
            if oldest is None or end >= oldest
        ]

    def _counts(self, span: Span) -> tuple[int, int]:
        """How many were created in a span: as Shopify counts, and as raw does.

        Whatever is set aside counts as if it were in raw; what does not say when it was created is taken to be in the
        span as far as something is missing there.
        """
        created = "(%(since)s::timestamptz is null or created_at >= %(since)s) and created_at < %(until)s"
        root = self.sync.stream.root
        query = f"""
            with aside as ({only_set_aside(root)})
            select
                (select count(*) from raw.{root.name} where tenant_id = %(tenant)s and deleted_at is null and {created})
                + (select count(*) from aside where {created}),
                (select count(*) from aside where created_at is null)
            """
        bound = {"tenant": self.sync.tenant.tenant_id, "since": span.since, "until": span.until}
        with self.sync.database.connect() as connection:
            row = connection.execute(query, bound).fetchone()
        assert row is not None
        at_shopify, (known, undated) = replace(self.sync, span=span).count_at_shopify(), row
        return at_shopify, known + max(0, min(undated, at_shopify - known))

    def _compare_ids(self, span: Span, report: StreamReport) -> bool:
        """Read the ids of what was created in a span; read again what raw lacks, and mark what is gone.

        Returns:
            Whether what is gone was looked for: not where bulk fails, so that the ids come in pages.
        """
        stream = self.sync.stream
        try:
            self._compare_ids_in_bulk(span, report)
        except BulkDeniedError as denial:
            raise self.sync.explained(denial) from denial
        except (BulkError, BulkRefusedError) as failure:
            reason = failure.reason if isinstance(failure, BulkError) else failure.problem
            log.warning("%s Pages of ids are read instead.", failure)
            report.notes.append(
                f"{self.sync.tenant.tenant_id}: the bulk operation of the ids of {stream.name} failed (it {reason}), "
                "so they were read in pages; what raw lacked was read again, and nothing was marked as gone."
            )
            read_at = datetime.now(UTC)
            filter_ = span.filter(stream.created_filter) or ""
            pages = Pager(self.sync.client, stream.id_pages).matching(filter_)
            with self.sync.database.connect(autocommit=True) as connection:
                ids = _Ids((node for nodes in pages for node in nodes), stream.kind)
                self._mend_gaps(IdComparison(connection, self.sync.tenant.tenant_id, stream.root, read_at), ids, report)
            return False
        return True

    def _compare_ids_in_bulk(self, span: Span, report: StreamReport) -> None:
        stream, tenant = self.sync.stream, self.sync.tenant
        reader = BulkReader(self.sync.client)
        completed = reader.wait(reader.start(bulk_query(stream.ids, query=span.filter(stream.created_filter))))
        self.sync.spool.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryFile(dir=self.sync.spool) as result,
            self.sync.database.connect(autocommit=True) as connection,
        ):
            reader.download(completed, result)
            comparison = IdComparison(connection, tenant.tenant_id, stream.root, completed.created_at)
            ids = _Ids(reader.nodes(completed, result, lambda: ids.lost), stream.kind)
            self._mend_gaps(comparison, ids, report)
            if ids.lost:
                report.notes.append(
                    f"{tenant.tenant_id}: {ids.lost:,} {stream.name} came without an id, so that nothing can be said "
                    "to be gone; none was marked so."
                )
            elif stream.absence_means_deleted:
                # What the token sees moved on while the operation ran.
                visible_since = stream.visible_since(tenant, max(completed.created_at, datetime.now(UTC)))
                complete = Completeness(visible_since, self.options.accept_deletions).within(span.since, span.until)
                deleted = self._delete_announced(comparison, complete) + comparison.mark_absent_deleted(complete)
                self.found.deleted += deleted
                report.tables[stream.root.name].deleted += deleted

    def _delete_announced(self, comparison: IdComparison, complete: Completeness) -> int:
        """Mark as deleted what was not seen and what webhooks say is deleted, be they taken in yet or not.

        Nobody has to be asked about these: of a store of sixty orders, one that was deleted a moment ago is more than
        one per cent.
        """
        stream, tenant_id = self.sync.stream, self.sync.tenant.tenant_id
        gids = [f"gid://shopify/{stream.kind}/{id_}" for id_ in comparison.absent(complete)]
        with self.sync.database.connect() as connection:
            announced = inbox.known_deletions(connection, tenant_id, gids)
            if not announced:
                return 0
            return Load(tenant_id, stream.root, comparison.read_at).mark_deleted(
                connection, [number(gid) for gid in announced]
            )

    def _mend_gaps(self, comparison: IdComparison, ids: _Ids, report: StreamReport) -> None:
        """Read again what Shopify has and raw lacks, or has in an older version."""
        stream, tenant = self.sync.stream, self.sync.tenant
        comparison.record(ids)
        gaps = comparison.gaps()
        if len(gaps) > _MOST_READ_AGAIN:
            raise TooManyGapsError(
                f"{tenant.tenant_id}: raw lacks {len(gaps):,} {stream.name} that Shopify has; "
                f"`xeno sync {tenant.tenant_id} --stream {stream.name} --full` reads them."
            )
        self._read_again(gaps, report)
        if stream.root is raw.CUSTOMERS:
            self.found.refreshed += comparison.refresh_customers()

    def _read_again(self, ids: Sequence[int], report: StreamReport) -> None:
        stream = self.sync.stream
        gids = [f"gid://shopify/{stream.kind}/{id_}" for id_ in ids]
        self.sync.load(Pager(self.sync.client, stream.pages).by_id(gids), report)
        self.found.read_again += len(ids)

    def _compare_customers(self, report: StreamReport) -> int:
        """Read again the customers of whom raw holds another number of orders than Shopify told, and where it still
        does, their orders.

        That an order was deleted is no change of its customer: the number in raw may be the older of the two.

        Returns:
            Of how many customers raw holds another number then.
        """
        differing = self._customers_differing()
        if not differing:
            return 0
        self._refresh_customers(differing[:_MOST_CUSTOMERS])
        orders = Pager(self.sync.client, self.sync.stream.pages)
        for customer_id in self._customers_differing()[:_MOST_CUSTOMERS]:
            self.sync.load(orders.matching(f"customer_id:{customer_id}"), report)
        return len(self._customers_differing())

    def _refresh_customers(self, ids: Sequence[int]) -> None:
        customers = replace(self.sync, stream=_CUSTOMERS)
        report = empty_report(self.sync.tenant.tenant_id, _CUSTOMERS, "ids", self.covered)
        gids = [f"gid://shopify/{_CUSTOMERS.kind}/{id_}" for id_ in ids]
        customers.load(Pager(self.sync.client, _CUSTOMERS.pages).by_id(gids), report)
        self.found.refreshed += report.rows_changed

    def _customers_differing(self) -> list[int]:
        with self.sync.database.connect() as connection:
            return _customers_differing(connection, self.sync.tenant.tenant_id)


def _customers_differing(connection: Connection, tenant_id: str) -> list[int]:
    """The customers who have another number of orders in raw than Shopify tells; neither counts tests.

    Orders that are set aside may be tests or not.
    """
    query = f"""
        with aside as (
            select customer_id, count(*) as orders
            from ({only_set_aside(raw.ORDERS)}) as orders
            where customer_id is not null group by 1
        )
        select customers.id
        from raw.customers
        left join (
            select customer_id as id, count(*) as orders
            from raw.orders
            where tenant_id = %(tenant)s and deleted_at is null and not is_test and customer_id is not null
            group by 1
        ) held using (id)
        left join aside on aside.customer_id = customers.id
        where tenant_id = %(tenant)s and deleted_at is null
        and number_of_orders - coalesce(held.orders, 0) not between 0 and coalesce(aside.orders, 0)
        order by 1
        """
    return [id_ for (id_,) in connection.execute(query, {"tenant": tenant_id})]


@dataclass
class _Ids:
    """What the nodes of ids say, read once; those without a usable id are counted.

    Args:
        nodes: as they came.
        kind: of what.
        lost: how many had none so far.
    """

    nodes: Iterable[dict[str, Any]]
    kind: str
    lost: int = 0

    def __iter__(self) -> Iterator[SeenId]:
        for node in self.nodes:
            id_ = number_of(node.get("id"), self.kind)
            if id_ is None:
                self.lost += 1
                continue
            yield id_, changed_at(node), *_figures(node.get("numberOfOrders"), node.get("statistics"))


def _figures(orders: Any, statistics: Any) -> tuple[int | None, str | None]:
    """A customer's number of orders and RFM group; neither where one of them is misshapen."""
    group = statistics.get("rfmGroup") if isinstance(statistics, dict) else None
    digits = str(orders) if isinstance(orders, str | int) else ""
    if not (digits.isascii() and digits.isdecimal() and len(digits) < _DIGITS_OF_BIGINT):
        return None, None
    return (int(digits), group) if group is None or (isinstance(group, str) and "\x00" not in group) else (None, None)
