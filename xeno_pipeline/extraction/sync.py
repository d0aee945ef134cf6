"""Syncing many tenants in parallel; a tenant's failure affects only that tenant."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_traceback
from xeno_pipeline.database.statistics import refresh_statistics
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.extraction.change_probe import changed_streams, is_current, probe
from xeno_pipeline.extraction.report import (
    ProgressSink,
    ResultSink,
    StreamFailure,
    StreamReport,
    StreamResult,
    empty_report,
    ignore_result,
    no_progress,
)
from xeno_pipeline.extraction.spans import Span, check_days
from xeno_pipeline.extraction.state import load_states, record_synced, with_history
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import SHOP, STREAMS, Stream, check_streams
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import without_nul
from xeno_pipeline.raw.counts import TableCounts
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.oauth import App
from xeno_pipeline.shopify.queries import operation, selection_version
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.shop_domains import SHOPIFY_URLS
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.onboarding import check_same_shop, history_warning, open_client, tenant_from
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.zones import zone_of

log = logging.getLogger(__name__)

TENANTS_AT_ONCE = 4

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class SyncRequest:
    """What to sync.

    Args:
        streams: names of streams; all where empty.
        full: read the history again, and mark absent objects as deleted.
        accept_deletions: mark it however much it is.
        since: the first day of creation that is read again, as the shop counts its days; None: from the beginning.
        until: the last such day; None: up to now.
    """

    streams: Sequence[str] = ()
    full: bool = False
    accept_deletions: bool = False
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        """Refuse days that are none.

        Raises:
            UsageError: there is no day in the span, or it is of no full read.
        """
        check_days(self.since, self.until)
        if (self.since or self.until) and not self.full:
            raise UsageError("A span of days is for reading the history again: give --full too.")

    def span(self, tenant: Tenant) -> Span | None:
        """The days that are read again; None for all.

        Raises:
            UnknownZoneError: the shop's days cannot be counted.
        """
        if self.since is None and self.until is None:
            return None
        return Span(zone_of(tenant.tenant_id, tenant.iana_timezone), self.since, self.until)


@dataclass(frozen=True)
class Syncer:
    """Syncs tenants into one database.

    Args:
        database: where raw lies.
        ring: the keys of the tenants' tokens.
        spool: a folder for the results of bulk operations while they are loaded.
        on_progress: called with how far things are, from several threads.
        app: the installation's app, with which expiring tokens are refreshed.
        urls: where stores are that were renamed, see `shop_domains.store_url`.
        on_result: called with the result of each stream as it ends, from several threads.
    """

    database: Database
    ring: KeyRing
    spool: Path
    on_progress: ProgressSink = no_progress
    app: App | None = None
    urls: str = SHOPIFY_URLS
    on_result: ResultSink = ignore_result

    def client_of(self, tenant: Tenant, retry_policy: RetryPolicy | None = None) -> ShopifyClient:
        """A client of a tenant's store.

        Raises:
            CredentialError: the tenant has no token that can be read.
        """
        return open_client(self.database, self.ring, tenant, app=self.app, retry_policy=retry_policy, urls=self.urls)

    def sync_tenants(self, tenants: Sequence[Tenant], request: SyncRequest) -> list[StreamResult]:
        """Sync several tenants side by side; the failure of one is a result like any other.

        Returns:
            A report or a failure for each tenant and stream.
        """
        with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="tenant") as pool:
            results = list(
                pool.map(lambda tenant: self.sync_tenant(tenant, request), self._soonest_done_first(tenants))
            )
        return [result for of_tenant in results for result in of_tenant]

    def sync_tenant(self, tenant: Tenant, request: SyncRequest) -> list[StreamResult]:
        """Sync the streams of one tenant side by side; a store that has nothing new costs one query.

        The shop's own facts come first: what the token sees decides what absence means.

        Returns:
            A report or a failure for each stream.
        """
        names = check_streams(request.streams)
        try:
            with closing(self.client_of(tenant)) as client:
                return self._sync_streams(client, tenant, names, request)
        except Exception as error:  # noqa: BLE001 - a failure is a result like any other
            return [self._ended(_failure(tenant, name, error)) for name in names]

    def _sync_streams(
        self, client: ShopifyClient, tenant: Tenant, names: Sequence[str], request: SyncRequest
    ) -> list[StreamResult]:
        streams = [stream for stream in STREAMS if stream.name in names]
        started, asked_at, asking = time.monotonic(), datetime.now(UTC), client.clone()
        with self.database.connect() as connection:
            states = load_states(connection, tenant.tenant_id)
            if request.full or not all(is_current(states.get(stream.name), stream) for stream in STREAMS):
                shop = self._update_facts(connection, tenant, asking.execute(operation("Shop")).data)
                new = streams
            else:
                answer = probe(asking, states)
                shop = self._update_facts(connection, tenant, answer or asking.execute(operation("Shop")).data)
                new = (
                    streams
                    if answer is None
                    else changed_streams(connection, tenant.tenant_id, answer, streams, states)
                )
            idle = [stream for stream in streams if stream not in new]
            record_synced(connection, tenant.tenant_id, [stream.name for stream in idle], asked_at)
            tenant = registry.get(connection, tenant.tenant_id)
        shop.record_cost(asking.usage, time.monotonic() - started)
        results: list[StreamResult] = [
            self._ended(empty_report(tenant.tenant_id, stream, "idle", states[stream.name].cursor_at))
            for stream in idle
        ]
        if SHOP in names:
            self._ended(shop)
        if new:
            with ThreadPoolExecutor(len(STREAMS), thread_name_prefix=tenant.tenant_id) as pool:
                results += pool.map(lambda stream: self._sync_stream(client, tenant, stream, request), new)
        results.sort(key=lambda result: names.index(result.stream))
        return [shop, *results] if SHOP in names else results

    def _sync_stream(self, client: ShopifyClient, tenant: Tenant, stream: Stream, request: SyncRequest) -> StreamResult:
        """Sync one stream; whatever stops it is its result, and stops no other."""
        try:
            span = request.span(tenant)
            sync = StreamSync(stream, tenant, client.clone(), self.database, self.spool, self.on_progress, span)
            report = sync.run(full=request.full, accept_deletions=request.accept_deletions)
            if report.mode == "bulk":
                # The next read joins with rows that no statistics know yet: a million of them, one by one.
                refresh_statistics(self.database, "raw")
            return self._ended(report)
        except Exception as error:  # noqa: BLE001 - a failure is a result like any other
            return self._ended(_failure(tenant, stream.name, error))

    def _ended(self, result: StreamResult) -> StreamResult:
        self.on_result(result)
        return result

    def sync_shop(self, tenant: Tenant, retry_policy: RetryPolicy | None = None) -> StreamReport:
        """Read the store's own facts, into the registry and into raw.

        Args:
            tenant: whose store it is.
            retry_policy: how long to keep trying.

        Raises:
            XenoError: it cannot be read, or is another shop than the tenant's.
        """
        started = time.monotonic()
        with closing(self.client_of(tenant, retry_policy)) as client:
            data = client.execute(operation("Shop")).data
            with self.database.connect() as connection:
                report = self._update_facts(connection, tenant, data)
            report.record_cost(client.usage, time.monotonic() - started)
        return report

    def _update_facts(self, connection: Connection, tenant: Tenant, data: Mapping[str, Any]) -> StreamReport:
        """Write the store's own facts where they changed; what does not fit is set aside."""
        report = StreamReport(tenant.tenant_id, SHOP, "facts", {raw.SHOPS.name: TableCounts(read=1)})
        data = without_nul(data)
        facts = _facts_of(data, tenant)
        check_same_shop(tenant, facts)
        now = datetime.now(UTC)
        node = {**data["shop"], "__typename": "Shop", "accessScopes": list(facts.access_scopes)}
        version = selection_version("Shop")
        query = "select from raw.shops where tenant_id = %s and payload = %s and query_version = %s"
        if facts != tenant or not connection.execute(query, [tenant.tenant_id, Jsonb(node), version]).fetchone():
            registry.update_facts(connection, facts)
            node["read_at"] = now.isoformat()
            load = Load(tenant.tenant_id, raw.SHOPS, now)
            report.tables.clear()
            mapping = RowMapping(raw.SHOPS, tenant.tenant_id, version)
            report.add(load.run(connection, mapping.of_objects([node])))
        warning = history_warning(facts)
        if warning:
            report.notes.append(warning)
        return report

    def _soonest_done_first(self, tenants: Sequence[Tenant]) -> list[Tenant]:
        """The tenants, those last whose history is yet to be read: however large it is, nobody waits behind it."""
        with self.database.connect() as connection:
            read = with_history(connection)
        return sorted(tenants, key=lambda tenant: tenant.tenant_id not in read)


def _facts_of(data: Mapping[str, Any], tenant: Tenant) -> Tenant:
    """The store's own facts; where they are malformed, those that are known already."""
    try:
        facts = tenant_from(data, tenant.tenant_id, tenant.api_url)
        texts = (facts.shop_gid, facts.shop_domain, facts.name, facts.currency, facts.iana_timezone, facts.plan)
        if all(isinstance(text, str) for text in (*texts, *facts.access_scopes)):
            return facts
    except (KeyError, TypeError, AttributeError):
        if data["shop"]["id"] != tenant.shop_gid:
            raise
    return replace(tenant, shop_gid=data["shop"]["id"])


def _failure(tenant: Tenant, stream: str, error: Exception) -> StreamFailure:
    log.debug("%s: %s failed. %s", tenant.tenant_id, stream, safe_traceback(error))
    return StreamFailure(tenant.tenant_id, stream, _without_room(tenant, stream, error) or error)


def _without_room(tenant: Tenant, stream: str, error: Exception) -> XenoError | None:
    """What to say where a disk was full: the spool's, or the database's."""
    if isinstance(error, psycopg.errors.DiskFull):
        place = "The database's disk"
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        place = "The disk of the spool (in XENO_HOME)"
    else:
        return None
    return XenoError(
        f"{place} has no room left for {stream} of {tenant.tenant_id}; nothing was loaded. "
        "Make room, and run the sync again."
    )
