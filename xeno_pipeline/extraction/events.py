"""Read back what events name, and write it to raw in the transaction that marks the events done.

An event is a hint: raw gets what Shopify says now. That may lag behind the event. So an object that is older than its
event, or is not found although no event deleted it, is retried later. What the token can never see is not retried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message, safe_traceback
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.inbox import PendingEvent
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult, empty_report
from xeno_pipeline.extraction.state import load_state
from xeno_pipeline.extraction.stream_loader import UnloadableError
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAMS, Stream
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.extraction.visibility import too_old
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.counts import TableCounts
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.redaction import redact_customer
from xeno_pipeline.raw.suppression import load_suppressed
from xeno_pipeline.raw.tables import KINDS, RawTable
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    OverloadedError,
    SlowObjectError,
    StoreUnavailableError,
    TokenRejectedError,
    UnreachableError,
)
from xeno_pipeline.shopify.ids import gid, kind, number
from xeno_pipeline.shopify.pagination import Node, Pager
from xeno_pipeline.shopify.records import changed_at
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.usage import Usage
from xeno_pipeline.tenants.bisection import Failures
from xeno_pipeline.tenants.credentials import CredentialError
from xeno_pipeline.tenants.offboarding import uninstall
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)

TENANTS_AT_ONCE = 8

MOST_BY_ID = 500
"""The most objects of one stream that are read by id. Beyond that, all changes are read in pages: most of them are
pending anyway, and the events beyond one run's limit are done with them."""

_CARTS_VERSION = 1
"""The query version of carts: of what `shopify.carts` keeps."""

_STORE_FAILURES = (CredentialError, OverloadedError, StoreUnavailableError, TokenRejectedError, UnreachableError)
"""The failures with which no stream of the store can be read."""

_STREAMS = {stream.name: stream for stream in STREAMS}


def read_events(syncer: Syncer, tenants: Sequence[Tenant]) -> list[StreamResult]:
    """Read what the due events of several tenants name, in parallel. A tenant's failure is a result like any other.

    Returns:
        A report or a failure for each tenant and stream that the events concern.
    """
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="events") as pool:
        results = list(pool.map(lambda tenant: _try_tenant(syncer, tenant), tenants))
    return [result for of_tenant in results for result in of_tenant]


def apply_uninstallations(database: Database, failures: Failures | None = None) -> list[str]:
    """Suspend the tenants whose stores have uninstalled the app. Events from before a reinstallation are ignored.

    Args:
        failures: collects the tenants whose suspension failed.

    Returns:
        The tenants that were suspended.
    """
    with database.connect() as connection:
        events = inbox.uninstallations(connection)
    failures = Failures() if failures is None else failures
    suspended: list[str] = []
    for event in events:
        try:
            with database.connect() as connection:
                is_suspended = uninstall(connection, event.tenant_id, event.happened_at)
                inbox.mark_settled(connection, event.id)
        except Exception as error:  # noqa: BLE001 - it must not stop the other tenants
            failures.add(event.tenant_id, error, "its uninstallation")
            with failures.guard(event.tenant_id, "recording that"), database.connect() as connection:
                inbox.record_failures(connection, [event.id], safe_message(error))
            continue
        if is_suspended:
            suspended.append(event.tenant_id)
    return suspended


def _try_tenant(syncer: Syncer, tenant: Tenant) -> list[StreamResult]:
    """Read what a tenant's events name. A failure outside of its streams is reported as one of the shop."""
    try:
        return _read_tenant(syncer, tenant)
    except Exception as error:  # noqa: BLE001 - a failure is a result like any other
        log.debug("%s: its events could not be read. %s", tenant.tenant_id, safe_traceback(error))
        return [StreamFailure(tenant.tenant_id, SHOP, error)]


def _read_tenant(syncer: Syncer, tenant: Tenant) -> list[StreamResult]:
    with syncer.database.connect() as connection:
        events = inbox.events_to_read(connection, tenant.tenant_id)
    results: list[StreamResult] = []
    carts, others = _of(CARTS, events), [event for event in events if event.stream != CARTS]
    if carts:
        try:
            results.append(_load_carts(syncer, tenant, carts))
        except Exception as error:  # noqa: BLE001 - a failure is a result like any other
            results.append(_fail(syncer, tenant, CARTS, carts, error))
    if not others:
        return results
    try:
        client = syncer.client_of(tenant, RetryPolicy.QUICK)
    except CredentialError as error:
        streams = sorted({event.stream for event in others})
        return results + [_fail(syncer, tenant, stream, _of(stream, others), error) for stream in streams]
    with closing(client):
        return results + _open_events(syncer, tenant, client, others).apply()


def _load_carts(syncer: Syncer, tenant: Tenant, events: Sequence[PendingEvent]) -> StreamReport:
    """Load the carts that came with their events."""
    started = time.monotonic()
    report = StreamReport(tenant.tenant_id, CARTS, "webhooks", {raw.CARTS.name: TableCounts()})
    nodes = [{"__typename": "Cart", **event.payload} for event in events if event.payload is not None]
    load = Load(tenant.tenant_id, raw.CARTS, datetime.now(UTC))
    with syncer.database.connect() as connection:
        if nodes:
            mapping = RowMapping(raw.CARTS, tenant.tenant_id, _CARTS_VERSION)
            report.add(load.run(connection, mapping.of_objects(nodes)))
        inbox.mark_done(connection, [event.id for event in events])
    report.record_cost(Usage(), time.monotonic() - started)
    return report


@dataclass(frozen=True)
class _Reading:
    """What was read for the events of one stream.

    Args:
        events: those that are not done yet.
        nodes: the objects that Shopify showed, by gid.
        slow: the object that took Shopify too long, if any.
        read_at: an instant before the read.
        usage: what the read cost.
        started: when it began, by the monotonic clock.
    """

    stream: Stream
    events: Sequence[PendingEvent]
    nodes: Mapping[str, Node]
    slow: SlowObjectError | None
    read_at: datetime
    report: StreamReport
    usage: Usage
    started: float

    @property
    def customers(self) -> set[str | None]:
        """The gids of the customers that the objects name."""
        return set(map(_customer_of, self.nodes.values()))


@dataclass(frozen=True)
class _TenantEvents:
    """The due events of one tenant.

    Args:
        deleted: the gids of deleted objects.
        moved: by root table, the known orders and checkouts of deleted customers, each with its customer: a merge gives
            them to another customer without changing their `updatedAt`.
    """

    syncer: Syncer
    tenant: Tenant
    client: ShopifyClient
    events: Sequence[PendingEvent]
    deleted: Collection[str]
    moved: Mapping[str, Mapping[str, str]]

    def apply(self) -> list[StreamResult]:
        """Read each stream that the events concern, and write it. The failure of one is a result like any other.

        Customers come last. A merge is done when the orders and checkouts of the deleted customer are written, and none
        of them names that customer any more.
        """
        self._redact_merged()
        results: list[StreamResult] = []
        named = {table: set(objects.values()) for table, objects in self.moved.items()}
        for name in self._stream_names():
            events = _of(name, self.events)
            failure = _store_failure(results)
            if failure is not None:
                results.append(_fail(self.syncer, self.tenant, name, events, failure))
                continue
            try:
                if name == SHOP:
                    results.append(self._update_shop(events))
                    continue
                reading = self._read(_STREAMS[name], events)
                results.append(self._write(reading, set().union(*named.values())))
            except Exception as error:  # noqa: BLE001 - a failure is a result like any other
                results.append(_fail(self.syncer, self.tenant, name, events, error))
                continue
            table = reading.stream.root.name
            if table in named:
                named[table] &= reading.customers
        return results

    def _stream_names(self) -> list[str]:
        """The streams that the events concern, in the order in which they are read."""
        shop = [SHOP] if _of(SHOP, self.events) else []
        concerned = [stream for stream in STREAMS if _of(stream.name, self.events) or self.moved.get(stream.root.name)]
        return shop + [stream.name for stream in sorted(concerned, key=lambda stream: stream.root is raw.CUSTOMERS)]

    def _update_shop(self, events: Sequence[PendingEvent]) -> StreamReport:
        """Read the shop's facts. The next transform finds out by itself which marts they change."""
        report = self.syncer.sync_shop(self.tenant, RetryPolicy.QUICK)
        with self.syncer.database.connect() as connection:
            inbox.mark_done(connection, [event.id for event in events])
        return report

    def _read(self, stream: Stream, events: Sequence[PendingEvent]) -> _Reading:
        """Read the objects that events name; those known to be deleted are left out.

        Events that name no object, or too many, are answered with all changes of the stream, which are written here.
        """
        started, read_at, client = time.monotonic(), datetime.now(UTC), self.client.clone()
        report = self._report(stream)
        names_nothing = any(event.read_gid is None and event.deleted_gid is None for event in events)
        if names_nothing or len({event.read_gid for event in events}) > MOST_BY_ID:
            report = self._sync(stream, client)
            with self.syncer.database.connect() as connection:
                done = inbox.mark_visible_done(connection, self.tenant.tenant_id, stream.name, stream.root.name)
            events = [event for event in events if event.id not in done]
        gids = {event.read_gid for event in events if event.read_gid} | set(self.moved.get(stream.root.name, ()))
        nodes: dict[str, Node] = {}
        slow: SlowObjectError | None = None
        try:
            for batch in Pager(client, stream.pages).by_id(sorted(gids - set(self.deleted))):
                nodes |= {node["id"]: node for node in batch}
        except SlowObjectError as error:
            slow = error
        return _Reading(stream, events, nodes, slow, read_at, report, client.usage, started)

    def _sync(self, stream: Stream, client: ShopifyClient) -> StreamReport:
        syncer = self.syncer
        sync = StreamSync(stream, self.tenant, client, syncer.database, syncer.spool, syncer.on_progress)
        report = sync.run()
        syncer.on_result(report)
        return report

    def _write(self, reading: _Reading, unmerged: Collection[str]) -> StreamReport:
        """Load what was read, and record in the same transaction what became of each event.

        Args:
            unmerged: deleted customers that some order or checkout still names: their merges wait.
        """
        stream, report, slow = reading.stream, reading.report, reading.slow
        ids = {event.id for event in reading.events}
        waiting = {event.id for event in reading.events if event.deleted_gid in unmerged}
        done = {event.id for event in reading.events if self._is_shown(event, reading)} - waiting
        too_slow = {event.id for event in reading.events if slow is not None and event.read_gid == slow.gid}
        absent = {event.id for event in reading.events if event.read_gid and event.read_gid not in reading.nodes}
        absent -= waiting | done | too_slow
        load = Load(self.tenant.tenant_id, stream.root, reading.read_at)
        with self.syncer.database.connect() as connection:
            if reading.nodes:
                mapping = RowMapping(stream.root, self.tenant.tenant_id, stream.query_version)
                report.add(load.run(connection, mapping.of_objects(list(reading.nodes.values()))))
            deleted = [number(event.deleted_gid) for event in reading.events if event.deleted_gid]
            if deleted:
                report.add({stream.root.name: TableCounts(deleted=load.mark_deleted(connection, deleted))})
            inbox.mark_done(connection, done)
            if slow is not None:
                inbox.record_failures(connection, too_slow, str(slow))
                report.notes.append(str(slow))
            outdated = ids - done - absent - too_slow
            inbox.record_failures(connection, outdated, "Shopify does not show yet what the event announced.")
            self._mark_absent(connection, reading, absent)
        report.record_cost(reading.usage, time.monotonic() - reading.started)
        return report

    def _mark_absent(self, connection: Connection, reading: _Reading, absent: Collection[int]) -> None:
        """Record events whose objects Shopify did not show: too old for the token, or not found."""
        visible_since = reading.stream.visible_since(self.tenant, reading.read_at)
        hidden: set[int] = set()
        if absent and visible_since is not None:
            hidden = too_old(connection, self.tenant.tenant_id, absent, visible_since)
            inbox.mark_not_visible(connection, hidden)
        inbox.mark_not_found(connection, set(absent) - hidden)

    def _is_shown(self, event: PendingEvent, reading: _Reading) -> bool:
        """Whether Shopify shows what the event announced. What it shows may still not fit, and be set aside."""
        if event.read_gid is None or event.read_gid in self.deleted:
            return True
        if event.read_gid not in reading.nodes:
            return False
        changed = changed_at(reading.nodes[event.read_gid])
        return changed is None or event.changed_at is None or changed >= event.changed_at

    def _report(self, stream: Stream) -> StreamReport:
        with self.syncer.database.connect() as connection:
            cursor_at = load_state(connection, self.tenant.tenant_id, stream.name).cursor_at
        return empty_report(self.tenant.tenant_id, stream, "events", cursor_at)

    def _redact_merged(self) -> None:
        """Redact every customer that a redacted one was merged into: they are the same person."""
        merges = [(event.read_gid, event.deleted_gid) for event in self.events if event.read_gid and event.deleted_gid]
        if not merges:
            return
        with self.syncer.database.connect() as connection:
            for kept, deleted in merges:
                suppressed = load_suppressed(connection, self.tenant.tenant_id)
                if suppressed.holds(raw.CUSTOMERS, str(number(deleted))):
                    redact_customer(connection, self.tenant.tenant_id, number(kept))


def _open_events(
    syncer: Syncer, tenant: Tenant, client: ShopifyClient, events: Sequence[PendingEvent]
) -> _TenantEvents:
    """The events with what raw and the inbox know of deletions."""
    deleted = {event.deleted_gid for event in events if event.deleted_gid}
    with syncer.database.connect() as connection:
        named = {event.read_gid for event in events if event.read_gid}
        deleted |= inbox.known_deletions(connection, tenant.tenant_id, named)
        customers = [number(gid_) for gid_ in deleted if kind(gid_) == "Customer"]
        moved = {
            table.name: _objects_of_customers(connection, tenant.tenant_id, table, customers)
            for table in (raw.ORDERS, raw.ABANDONED_CHECKOUTS)
        }
    return _TenantEvents(syncer, tenant, client, events, deleted, moved)


def _objects_of_customers(
    connection: Connection, tenant_id: str, table: RawTable, customer_ids: Sequence[int]
) -> dict[str, str]:
    """The live objects of some customers: each object's gid, and its customer's."""
    rows = connection.execute(
        f"""
        select id, customer_id from raw.{table.name}
        where tenant_id = %s and customer_id = any(%s) and deleted_at is null
        """,
        [tenant_id, customer_ids],
    )
    return {gid(KINDS[table.name], id_): gid("Customer", customer_id) for id_, customer_id in rows}


def _store_failure(results: Sequence[StreamResult]) -> Exception | None:
    """The failure after which no stream of the store can be read, if there was one."""
    errors = (result.error for result in results if isinstance(result, StreamFailure))
    return next((error for error in errors if isinstance(error, _STORE_FAILURES)), None)


def _customer_of(node: Node) -> str | None:
    customer = node.get("customer")
    gid = customer.get("id") if isinstance(customer, dict) else None
    return gid if isinstance(gid, str) else None


def _of(stream: str, events: Collection[PendingEvent]) -> list[PendingEvent]:
    return [event for event in events if event.stream == stream]


def _fail(
    syncer: Syncer, tenant: Tenant, stream: str, events: Sequence[PendingEvent], error: Exception
) -> StreamFailure:
    """Record why events could not be read, without any value that did not fit: it may be personal."""
    if isinstance(error, psycopg.DataError):
        error = UnloadableError(f"{tenant.tenant_id}: {stream} named by events do not fit the tables.")
    try:
        with syncer.database.connect() as connection:
            inbox.record_failures(connection, [event.id for event in events], safe_message(error), is_held=True)
    except Exception as further:  # noqa: BLE001 - the events stay due, and the first failure says more
        log.debug("%s: a failure of %s could not be recorded. %s", tenant.tenant_id, stream, safe_traceback(further))
    return StreamFailure(tenant.tenant_id, stream, error)
