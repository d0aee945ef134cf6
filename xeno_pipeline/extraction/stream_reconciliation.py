"""Comparing one stream of one tenant with Shopify, and correcting what differs.

Counts are compared by window of creation. Where they differ the ids of that window are read in bulk; in a full
comparison all ids are, because equal counts may hide one object too many and another too few. Objects that raw lacks
are read by id. Objects that Shopify no longer has are marked as deleted, by the rules of a complete load. Windows are
whole days of the shop's calendar up to the last one that a sync has covered, so that nothing differs for being new.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.id_nodes import IdNodes
from xeno_pipeline.extraction.reconciliation_results import Reconciliation
from xeno_pipeline.extraction.report import StreamReport, empty_report
from xeno_pipeline.extraction.spans import Span
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.completeness import Completeness
from xeno_pipeline.raw.id_comparison import IdComparison
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.set_aside import only_set_aside
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.errors import BulkDeniedError, BulkError, BulkRefusedError
from xeno_pipeline.shopify.ids import gid, number
from xeno_pipeline.shopify.pagination import Pager
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.tenants.zones import zone_of

log = logging.getLogger(__name__)

_WINDOWS_END_BEFORE = (0, 7, 30, 90, 365, 1095)
"""Days before the last one. Misses are mostly recent, and small windows cost little to read again."""

_MOST_READ_AGAIN = 20_000
"""The most objects that are read by id. If more are missing, the history must be read again."""

_CUSTOMERS = next(stream for stream in STREAMS if stream.root is raw.CUSTOMERS)

_MOST_CUSTOMERS = 100
"""The most customers that are read again in one night, together with their orders."""


class TooManyGapsError(XenoError):
    """Raw lacks more than is worth reading by its ids."""


@dataclass(frozen=True)
class ReconcileOptions:
    """How thoroughly to compare.

    Args:
        full: read all ids, whatever the counts say.
        accept_deletions: mark absent objects as deleted however many they are.
    """

    full: bool = False
    accept_deletions: bool = False


@dataclass(frozen=True)
class StreamReconciliation:
    """The reconciliation of one stream of one tenant.

    Args:
        sync: loads the stream.
        found: receives what differed.
        covered: objects created up to this instant should be in raw.
    """

    sync: StreamSync
    found: Reconciliation
    options: ReconcileOptions
    covered: datetime

    def run(self) -> StreamReport:
        """Compare, and correct what differs.

        Raises:
            XenoError: it failed; corrections made by then stay.
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
        """Windows of days of creation, the newest first, as far back as the token sees."""
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
        """How many objects were created in a span, as Shopify counts and as raw does.

        Objects that are set aside count as if they were in raw. Those without a time of creation are assumed to be in
        the span as far as objects are missing there.
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
        """Read the ids of a span. Read the objects that raw lacks, and mark those that Shopify lacks as deleted.

        Returns:
            Whether deletions were detected: not if bulk fails, and the ids are read in pages.
        """
        stream = self.sync.stream
        try:
            self._compare_ids_in_bulk(span, report)
        except BulkDeniedError as denial:
            raise self.sync.explain_denial(denial) from denial
        except (BulkError, BulkRefusedError) as failure:
            reason = failure.reason if isinstance(failure, BulkError) else failure.problem
            log.warning("%s Pages of ids are read instead.", failure)
            report.notes.append(
                f"{self.sync.tenant.tenant_id}: the bulk operation of the ids of {stream.name} failed (it {reason}), "
                "so they were read in pages; what raw lacked was read again, and nothing was marked as deleted."
            )
            read_at = datetime.now(UTC)
            filter_ = span.filter(stream.created_filter) or ""
            pages = Pager(self.sync.client, stream.id_pages).matching(filter_)
            with self.sync.database.connect(autocommit=True) as connection:
                ids = IdNodes((node for nodes in pages for node in nodes), stream.kind)
                self._fill_gaps(IdComparison(connection, self.sync.tenant.tenant_id, stream.root, read_at), ids, report)
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
            ids = IdNodes(reader.nodes(completed, result, lambda: ids.lost), stream.kind)
            self._fill_gaps(comparison, ids, report)
            if ids.lost:
                report.notes.append(
                    f"{tenant.tenant_id}: {ids.lost:,} {stream.name} came without an id, so none of them "
                    "was marked as deleted."
                )
            elif stream.absence_means_deleted:
                # The window that the token sees moved while the operation ran.
                visible_since = stream.visible_since(tenant, max(completed.created_at, datetime.now(UTC)))
                complete = Completeness(visible_since, self.options.accept_deletions).within(span.since, span.until)
                deleted = self._delete_announced(comparison, complete) + comparison.mark_absent_deleted(complete)
                self.found.deleted += deleted
                report.tables[stream.root.name].deleted += deleted

    def _delete_announced(self, comparison: IdComparison, complete: Completeness) -> int:
        """Mark absent objects as deleted that webhooks announced as deleted, even if those are not processed yet.

        They need no confirmation: in a store of sixty orders, a single deletion is more than one per cent.
        """
        stream, tenant_id = self.sync.stream, self.sync.tenant.tenant_id
        gids = [gid(stream.kind, id_) for id_ in comparison.absent(complete)]
        with self.sync.database.connect() as connection:
            announced = inbox.known_deletions(connection, tenant_id, gids)
            if not announced:
                return 0
            return Load(tenant_id, stream.root, comparison.read_at).mark_deleted(
                connection, [number(announced_gid) for announced_gid in announced]
            )

    def _fill_gaps(self, comparison: IdComparison, ids: IdNodes, report: StreamReport) -> None:
        """Read the objects that raw lacks, or has in an older version."""
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
        gids = [gid(stream.kind, id_) for id_ in ids]
        self.sync.load(Pager(self.sync.client, stream.pages).by_id(gids), report)
        self.found.read_again += len(ids)

    def _compare_customers(self, report: StreamReport) -> int:
        """Read again the customers whose number of orders differs from the orders in raw; then, if it still differs,
        their orders.

        Deleting an order does not update its customer, so the number in raw may be outdated.

        Returns:
            The number of customers that still differ.
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
        gids = [gid(_CUSTOMERS.kind, id_) for id_ in ids]
        customers.load(Pager(self.sync.client, _CUSTOMERS.pages).by_id(gids), report)
        self.found.refreshed += report.rows_changed

    def _customers_differing(self) -> list[int]:
        with self.sync.database.connect() as connection:
            return _customers_differing(connection, self.sync.tenant.tenant_id)


def _customers_differing(connection: Connection, tenant_id: str) -> list[int]:
    """The customers whose number of orders differs from their orders in raw. Neither counts test orders.

    Orders that are set aside may be test orders or not.
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
