"""Reading back what events name, and writing it to raw in the transaction that marks them done.

An event is a hint: what raw gets is what Shopify says now. That may lag behind the event, so an object that is older
than its event, or cannot be found though nobody deleted it, is tried again later. What the token can never see is not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message, safe_traceback
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.inbox import PendingEvent
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult, empty_report
from xeno_pipeline.extraction.state import load_state
from xeno_pipeline.extraction.stream_sync import StreamSync, UnloadableError
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAMS, Stream
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.extraction.visibility import too_old
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.load import Load, TableCounts
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.redaction import redact_customer
from xeno_pipeline.raw.suppression import load_suppressed
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    OverloadedError,
    SlowObjectError,
    StoreUnavailableError,
    TokenRejectedError,
    UnreachableError,
)
from xeno_pipeline.shopify.ids import kind, number
from xeno_pipeline.shopify.pagination import Node, Pager
from xeno_pipeline.shopify.records import changed_at
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.usage import Usage
from xeno_pipeline.tenants.apart import Failures
from xeno_pipeline.tenants.credentials import CredentialError
from xeno_pipeline.tenants.offboarding import uninstall
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)

TENANTS_AT_ONCE = 8

MOST_BY_ID = 500
"""Objects of one stream that are read by their ids. Where more are pending, all that changed is read in pages: most of
it is pending anyway, and what is pending beyond one run's share is done with it."""

_CARTS_VERSION = 1
"""Of what is kept of a cart, `shopify.carts`."""

_WHOLE_STORE = (CredentialError, OverloadedError, StoreUnavailableError, TokenRejectedError, UnreachableError)
"""What no stream of the store can be read with."""

_CUSTOMERS_LAST = sorted(STREAMS, key=lambda stream: stream.root is raw.CUSTOMERS)
"""A merge is done when the orders of the customer who is gone are written too."""


def read_events(syncer: Syncer, tenants: Sequence[Tenant]) -> list[StreamResult]:
    """Read what the due events of several tenants name, side by side; one's failure is a result like any other.

    Args:
        syncer: what reads those tenants' streams otherwise.
        tenants: of whom.

    Returns:
        A report or a failure for each tenant and stream that there was something to read of.
    """
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="events") as pool:
        results = list(pool.map(lambda tenant: _try_tenant(syncer, tenant), tenants))
    return [result for of_tenant in results for result in of_tenant]


def apply_uninstallations(database: Database, failures: Failures | None = None) -> list[str]:
    """Suspend the tenants whose stores have uninstalled the app; what is told of before they came back is ignored.

    Args:
        database: where tenants are registered.
        failures: told with whom it failed.

    Returns:
        The tenants that are suspended now.
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
        except Exception as error:  # noqa: BLE001 - it holds up no other tenant
            failures.add(event.tenant_id, "its uninstallation", error)
            with failures.guard(event.tenant_id, "noting that"), database.connect() as connection:
                inbox.record_failures(connection, [event.id], safe_message(error))
            continue
        if is_suspended:
            suspended.append(event.tenant_id)
    return suspended


def _try_tenant(syncer: Syncer, tenant: Tenant) -> list[StreamResult]:
    """Read what a tenant's events name; what fails apart from a stream of theirs is the tenant's failure alone."""
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
        results.append(_attempt(syncer, tenant, CARTS, carts, lambda: _land_carts(syncer, tenant, carts)))
    if not others:
        return results
    try:
        client = syncer.client_of(tenant, RetryPolicy.QUICK)
    except CredentialError as error:
        streams = sorted({event.stream for event in others})
        return results + [_failed(syncer, tenant, stream, _of(stream, others), error) for stream in streams]
    with closing(client):
        return results + _Reading(syncer, tenant, client, others).run()


def _land_carts(syncer: Syncer, tenant: Tenant, events: Sequence[PendingEvent]) -> StreamReport:
    """Write the carts that events brought; no store is asked."""
    started = time.monotonic()
    report = StreamReport(tenant.tenant_id, CARTS, "webhooks", {raw.CARTS.name: TableCounts()})
    nodes = [{"__typename": "Cart", **event.payload} for event in events if event.payload is not None]
    load = Load(tenant.tenant_id, raw.CARTS, datetime.now(UTC))
    with syncer.database.connect() as connection:
        if nodes:
            mapping = RowMapping(raw.CARTS, tenant.tenant_id, _CARTS_VERSION)
            report.add(load.run(connection, mapping.of_objects(nodes)))
        inbox.mark_done(connection, [event.id for event in events])
    report.cost(Usage(), time.monotonic() - started)
    return report


@dataclass
class _Reading:
    """One tenant's due events, and what is known while they are read.

    Args:
        syncer: where raw lies, and the spool.
        tenant: whose events.
        client: of its store.
        events: what is due.
        deleted: the gids of what is gone.
        orphans: by root table, the known orders and checkouts of customers who are gone: a merge gives them to another
            without touching them.
        forsaken: likewise, of the customers who are gone those whom some of these still name.
    """

    syncer: Syncer
    tenant: Tenant
    client: ShopifyClient
    events: Sequence[PendingEvent]
    deleted: set[str] = field(init=False)
    orphans: dict[str, set[str]] = field(default_factory=dict)
    still_referenced_customer_ids: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {event.read_gid for event in self.events if event.read_gid}
        self.deleted = {event.deleted_gid for event in self.events if event.deleted_gid}
        with self.syncer.database.connect() as connection:
            self.deleted |= inbox.known_deletions(connection, self.tenant.tenant_id, named)
            self._find_orphans(connection)

    def run(self) -> list[StreamResult]:
        """Read each stream that is concerned, and write it; the failure of one is a result like any other."""
        self._redact_merged()
        results: list[StreamResult] = []
        not_visible: Exception | None = None
        for stream, take in self._concerned():
            events = _of(stream, self.events)
            if not_visible is not None:
                results.append(_failed(self.syncer, self.tenant, stream, events, not_visible))
                continue
            result = _attempt(self.syncer, self.tenant, stream, events, take)
            results.append(result)
            if isinstance(result, StreamFailure) and isinstance(result.error, _WHOLE_STORE):
                not_visible = result.error
        return results

    def _concerned(self) -> list[tuple[str, Callable[[], StreamReport]]]:
        """The streams that there is something to read of, and how."""
        concerned: list[tuple[str, Callable[[], StreamReport]]] = []
        shop = _of(SHOP, self.events)
        if shop:
            concerned.append((SHOP, lambda: self._take_shop(shop)))
        streams = [
            stream for stream in _CUSTOMERS_LAST if _of(stream.name, self.events) or self.orphans.get(stream.root.name)
        ]
        return concerned + [(stream.name, partial(self._take, stream)) for stream in streams]

    def _take_shop(self, events: Sequence[PendingEvent]) -> StreamReport:
        """Read the shop's facts; what they change of its marts, the transform finds out by itself."""
        report = self.syncer.sync_shop(self.tenant, RetryPolicy.QUICK)
        with self.syncer.database.connect() as connection:
            inbox.mark_done(connection, [event.id for event in events])
        return report

    def _take(self, stream: Stream) -> StreamReport:
        events = _of(stream.name, self.events)
        started, read_at, client = time.monotonic(), datetime.now(UTC), self.client.clone()
        report = self._report(stream)
        names_nothing = any(event.read_gid is None and event.deleted_gid is None for event in events)
        if names_nothing or len({event.read_gid for event in events}) > MOST_BY_ID:
            report = StreamSync(
                stream, self.tenant, client, self.syncer.database, self.syncer.spool, self.syncer.on_progress
            ).run()
            with self.syncer.database.connect() as connection:
                in_raw = inbox.mark_visible_done(connection, self.tenant.tenant_id, stream.name, stream.root.name)
            events = [event for event in events if event.id not in in_raw]
        nodes, slow = self._read(client, stream, events)
        shown = {gid: changed_at(node) for gid, node in nodes.items()}
        done = {event.id for event in events if self._is_done(event, shown)}
        too_slow = {event.id for event in events if slow is not None and event.read_gid == slow.gid}
        absent = {event.id for event in events if self._is_absent(event, nodes)} - done - too_slow
        behind = {event.id for event in events} - done - absent - too_slow
        visible_since = stream.visible_since(self.tenant, read_at)
        mapping = RowMapping(stream.root, self.tenant.tenant_id, stream.query_version)
        load = Load(self.tenant.tenant_id, stream.root, read_at)
        with self.syncer.database.connect() as connection:
            if nodes:
                report.add(load.run(connection, mapping.of_objects(list(nodes.values()))))
            gone = [number(event.deleted_gid) for event in events if event.deleted_gid]
            if gone:
                report.add({stream.root.name: TableCounts(deleted=load.mark_deleted(connection, gone))})
            inbox.mark_done(connection, done)
            if slow is not None:
                inbox.record_failures(connection, too_slow, str(slow))
                report.notes.append(str(slow))
            inbox.record_failures(connection, behind, "Shopify did not show yet what the event told of.")
            if absent and visible_since is not None:
                hidden = too_old(connection, self.tenant.tenant_id, absent, visible_since)
                inbox.mark_not_visible(connection, hidden)
                absent -= hidden
            inbox.mark_not_found(connection, absent)
        report.cost(client.usage, time.monotonic() - started)
        return report

    def _read(
        self, client: ShopifyClient, stream: Stream, events: Sequence[PendingEvent]
    ) -> tuple[dict[str, Node], SlowObjectError | None]:
        """What the events of a stream name, by gid, and why one of it is lacking; what is gone is not asked for."""
        gids = {event.read_gid for event in events if event.read_gid} - self.deleted
        gids |= self.orphans.get(stream.root.name, set()) - self.deleted
        nodes: dict[str, Node] = {}
        slow: SlowObjectError | None = None
        try:
            for batch in Pager(client, stream.pages).by_id(sorted(gids)):
                nodes |= {node["id"]: node for node in batch}
        except SlowObjectError as error:
            slow = error
        if stream.root.name in self.still_referenced_customer_ids:
            self.still_referenced_customer_ids[stream.root.name] &= set(map(_customer_of, nodes.values()))
        return nodes, slow

    def _waits_for_orders(self, event: PendingEvent) -> bool:
        return any(event.deleted_gid in customers for customers in self.still_referenced_customer_ids.values())

    def _is_absent(self, event: PendingEvent, nodes: dict[str, Node]) -> bool:
        """Whether Shopify shows nothing of what the event names, which is all that is amiss."""
        return event.read_gid is not None and event.read_gid not in nodes and not self._waits_for_orders(event)

    def _is_done(self, event: PendingEvent, shown: dict[str, datetime | None]) -> bool:
        """Whether Shopify shows what the event told of; what it shows may not fit, and be set aside.

        Args:
            event: the event.
            shown: when each object that Shopify shows says it was changed; None: it says nothing that can be.
        """
        if self._waits_for_orders(event):
            return False
        if event.read_gid is None or event.read_gid in self.deleted:
            return True
        if event.read_gid not in shown:
            return False
        changed = shown[event.read_gid]
        return changed is None or event.changed_at is None or changed >= event.changed_at

    def _report(self, stream: Stream) -> StreamReport:
        with self.syncer.database.connect() as connection:
            cursor_at = load_state(connection, self.tenant.tenant_id, stream.name).cursor_at
        return empty_report(self.tenant.tenant_id, stream, "events", cursor_at)

    def _redact_merged(self) -> None:
        """Redact whoever a redacted customer was merged into: they are the same person, and share what was theirs."""
        merges = [(event.read_gid, event.deleted_gid) for event in self.events if event.read_gid and event.deleted_gid]
        if not merges:
            return
        with self.syncer.database.connect() as connection:
            for kept, gone in merges:
                suppressed = load_suppressed(connection, self.tenant.tenant_id)
                if suppressed.holds(raw.CUSTOMERS, str(number(gone))):
                    redact_customer(connection, self.tenant.tenant_id, number(kept))

    def _find_orphans(self, connection: Connection) -> None:
        customers = [number(gid) for gid in self.deleted if kind(gid) == "Customer"]
        for table, kind_ in ((raw.ORDERS, "Order"), (raw.ABANDONED_CHECKOUTS, "AbandonedCheckout")):
            found = connection.execute(
                f"""
                select id, customer_id from raw.{table.name}
                where tenant_id = %s and customer_id = any(%s) and deleted_at is null
                """,
                [self.tenant.tenant_id, customers],
            ).fetchall()
            self.orphans[table.name] = {f"gid://shopify/{kind_}/{id_}" for id_, _ in found}
            self.still_referenced_customer_ids[table.name] = {
                f"gid://shopify/Customer/{customer_id}" for _, customer_id in found
            }


def _customer_of(node: Node) -> str | None:
    customer = node.get("customer")
    gid = customer.get("id") if isinstance(customer, dict) else None
    return gid if isinstance(gid, str) else None


def _of(stream: str, events: Collection[PendingEvent]) -> list[PendingEvent]:
    return [event for event in events if event.stream == stream]


def _attempt(
    syncer: Syncer, tenant: Tenant, stream: str, events: Sequence[PendingEvent], take: Callable[[], StreamReport]
) -> StreamResult:
    """Do what the events of a stream ask for; a failure is a result like any other."""
    try:
        return take()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return _failed(syncer, tenant, stream, events, error)


def _failed(
    syncer: Syncer, tenant: Tenant, stream: str, events: Sequence[PendingEvent], error: Exception
) -> StreamFailure:
    """Note why events could not be read; nothing of a value that did not fit, which may be personal."""
    if isinstance(error, psycopg.DataError):
        error = UnloadableError(f"{tenant.tenant_id}: {stream} that events name do not fit the tables.")
    try:
        with syncer.database.connect() as connection:
            inbox.record_failures(connection, [event.id for event in events], safe_message(error), is_held=True)
    except Exception as further:  # noqa: BLE001 - the events stay due, and the first failure says more
        log.debug("%s: a failure of %s could not be noted. %s", tenant.tenant_id, stream, safe_traceback(further))
    return StreamFailure(tenant.tenant_id, stream, error)
