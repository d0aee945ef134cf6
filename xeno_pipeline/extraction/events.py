"""Reading back what events name, and writing it to raw in the transaction that marks them done.

An event is a hint: what raw gets is what Shopify says now. That may lag behind the event, so an object that is older
than its event, or cannot be found though nobody deleted it, is tried again later.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.inbox import PendingEvent
from xeno_pipeline.extraction.mapping import UnknownNodeError, flatten, rows
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.state import load_state
from xeno_pipeline.extraction.stream_sync import StreamSync, UnloadableError
from xeno_pipeline.extraction.streams import STREAMS, Stream
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.shopify.client import Patience, ShopifyClient
from xeno_pipeline.shopify.errors import OverloadedError, StoreUnavailableError, TokenRejectedError, UnreachableError
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.pagination import Node, Pager
from xeno_pipeline.tenants.credentials import CredentialError
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.warehouse import raw_tables as raw
from xeno_pipeline.warehouse.connection import Connection
from xeno_pipeline.warehouse.loading import Load, TableCounts
from xeno_pipeline.warehouse.raw_tables import tree

TENANTS_AT_ONCE = 8

_PATIENCE = Patience(deadline=10.0, connect_deadline=3.0, longest_pause=2.0, connect_timeout=3.0, read_timeout=10.0)
"""Other tenants' events wait for the same transform; what fails is tried again soon enough."""

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
        results = list(pool.map(lambda tenant: _read_tenant(syncer, tenant), tenants))
    return [result for of_tenant in results for result in of_tenant]


def _read_tenant(syncer: Syncer, tenant: Tenant) -> list[StreamResult]:
    with syncer.database.connect() as connection:
        events = inbox.to_read(connection, tenant.tenant_id)
    if not events:
        return []
    try:
        client = syncer.client_of(tenant, _PATIENCE)
    except CredentialError as error:
        return [_failed(syncer, tenant, stream, _of(stream, events), error) for stream in _concerned(events)]
    reading = _Reading(syncer, tenant, client, events)
    results = reading.run()
    client.close()
    return results


@dataclass
class _Reading:
    """One tenant's due events, and what is known while they are read.

    Args:
        syncer: where raw lies, and the spool.
        tenant: whose events.
        client: of its store.
        events: what is due.
        deleted: the gids of what is gone.
        orphans: the known orders of customers who are gone: a merge gives them to another without touching them.
        forsaken: of the customers who are gone, those whose orders still say that they are theirs.
    """

    syncer: Syncer
    tenant: Tenant
    client: ShopifyClient
    events: Sequence[PendingEvent]
    deleted: set[str] = field(init=False)
    orphans: set[str] = field(default_factory=set)
    forsaken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        named = {event.read_gid for event in self.events if event.read_gid}
        self.deleted = {event.deleted_gid for event in self.events if event.deleted_gid}
        with self.syncer.database.connect() as connection:
            self.deleted |= inbox.known_deletions(connection, self.tenant.tenant_id, named)
            self._find_orphans(connection)

    def run(self) -> list[StreamResult]:
        """Read each stream that is concerned, and write it; the failure of one is a result like any other."""
        results: list[StreamResult] = []
        beyond_reach: Exception | None = None
        for stream in _CUSTOMERS_LAST:
            events = _of(stream, self.events)
            if not events and not (self.orphans and stream.root is raw.ORDERS):
                continue
            error = beyond_reach
            if error is None:
                try:
                    results.append(self._take(stream, events))
                    continue
                except Exception as problem:  # noqa: BLE001 - a failure is a result like any other
                    error = problem
            results.append(_failed(self.syncer, self.tenant, stream, events, error))
            beyond_reach = error if isinstance(error, _WHOLE_STORE) else None
        return results

    def _take(self, stream: Stream, events: Sequence[PendingEvent]) -> StreamReport:
        started, read_at, client = time.monotonic(), datetime.now(UTC), self.client.twin()
        report = self._report(stream)
        if any(event.read_gid is None and event.deleted_gid is None for event in events):
            report = StreamSync(
                stream, self.tenant, client, self.syncer.database, self.syncer.spool, self.syncer.on_progress
            ).run()
        nodes = self._read(client, stream, events)
        done = {event.id for event in events if self._is_done(event, nodes)}
        behind = {event.id for event in events} - done
        load = Load(self.tenant.tenant_id, stream.root, read_at)
        with self.syncer.database.connect() as connection:
            if nodes:
                mapped = list(rows(flatten(nodes.values()), self.tenant.tenant_id, stream.query_version))
                report.add(load.run(connection, lambda: mapped))
            gone = [number(event.deleted_gid) for event in events if event.deleted_gid]
            if gone:
                report.add({stream.root.name: TableCounts(deleted=load.bury(connection, gone))})
            inbox.are_done(connection, done)
            inbox.have_failed(connection, behind, "Shopify did not show yet what the event told of.")
        usage = client.usage
        report.requests, report.points, report.bytes = usage.requests, usage.points, usage.bytes
        report.seconds_waiting, report.seconds = usage.seconds_waiting, time.monotonic() - started
        return report

    def _read(self, client: ShopifyClient, stream: Stream, events: Sequence[PendingEvent]) -> dict[str, Node]:
        """What the events of a stream name, by gid; what is gone is not asked for."""
        gids = {event.read_gid for event in events if event.read_gid} - self.deleted
        if stream.root is raw.ORDERS:
            gids |= self.orphans - self.deleted
        nodes = {node["id"]: node for batch in Pager(client, stream.pages).by_id(sorted(gids)) for node in batch}
        if stream.root is raw.ORDERS:
            self.forsaken &= {node["customer"]["id"] for node in nodes.values() if node["customer"]}
        return nodes

    def _is_done(self, event: PendingEvent, nodes: dict[str, Node]) -> bool:
        """Whether Shopify shows what the event told of."""
        if event.deleted_gid in self.forsaken:
            return False
        if event.read_gid is None or event.read_gid in self.deleted:
            return True
        node = nodes.get(event.read_gid)
        return node is not None and (
            event.changed_at is None or datetime.fromisoformat(node["updatedAt"]) >= event.changed_at
        )

    def _report(self, stream: Stream) -> StreamReport:
        with self.syncer.database.connect() as connection:
            cursor_at = load_state(connection, self.tenant.tenant_id, stream.name).cursor_at
        tables = {table.name: TableCounts() for table in tree(stream.root)}
        return StreamReport(self.tenant.tenant_id, stream.name, "events", tables, cursor_at, cursor_at)

    def _find_orphans(self, connection: Connection) -> None:
        prefix = "gid://shopify/Customer/"
        customers = [number(gid) for gid in self.deleted if gid.startswith(prefix)]
        query = """
            select id, customer_id from raw.orders
            where tenant_id = %s and customer_id = any(%s) and deleted_at is null
            """
        for order_id, customer_id in connection.execute(query, [self.tenant.tenant_id, customers]).fetchall():
            self.orphans.add(f"gid://shopify/Order/{order_id}")
            self.forsaken.add(f"{prefix}{customer_id}")


def _concerned(events: Collection[PendingEvent]) -> list[Stream]:
    return [stream for stream in STREAMS if _of(stream, events)]


def _of(stream: Stream, events: Collection[PendingEvent]) -> list[PendingEvent]:
    return [event for event in events if event.stream == stream.name]


def _failed(
    syncer: Syncer, tenant: Tenant, stream: Stream, events: Sequence[PendingEvent], error: Exception
) -> StreamFailure:
    """Note why events could not be read; nothing of a value that did not fit, which may be personal."""
    if isinstance(error, psycopg.DataError | UnknownNodeError):
        error = UnloadableError(f"{tenant.tenant_id}: {stream.name} that events name do not fit the tables.")
    told = str(error) if isinstance(error, XenoError) else type(error).__name__
    with syncer.database.connect() as connection:
        inbox.have_failed(connection, [event.id for event in events], told, is_held=True)
    return StreamFailure(tenant.tenant_id, stream.name, error)
