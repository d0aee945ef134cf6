"""Reconciliation: comparing tenants' raw tables with Shopify every night, because webhooks and changes can be missed.

`stream_reconciliation` says how one stream is compared; `reconciliation_results` keeps what was found.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from xeno_pipeline.database.safe_messages import safe_message, safe_traceback
from xeno_pipeline.extraction.reconciliation_results import Reconciliation, latest_of, save
from xeno_pipeline.extraction.report import StreamFailure, StreamResult
from xeno_pipeline.extraction.segment_comparison import compare_segments
from xeno_pipeline.extraction.state import OVERLAP, SyncState, load_states
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions, StreamReconciliation
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import SHOP, STREAMS, Stream
from xeno_pipeline.extraction.sync import TENANTS_AT_ONCE, Syncer
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.zones import UnknownZoneError, zone_of

log = logging.getLogger(__name__)

_FULL_EVERY = timedelta(days=6, hours=12)
"""A week, less the hours by which nights differ."""


def reconcile_tenants(syncer: Syncer, tenants: Sequence[Tenant], options: ReconcileOptions) -> list[StreamResult]:
    """Reconcile several tenants in parallel. A tenant's failure is a result like any other.

    Streams that were never read are left out.

    Returns:
        A report or a failure for each tenant and stream. `ops.reconciliations` holds the figures.
    """
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="reconcile") as pool:
        results = list(pool.map(lambda tenant: _try_tenant(syncer, tenant, options), tenants))
    return [result for of_tenant in results for result in of_tenant]


def _try_tenant(syncer: Syncer, tenant: Tenant, options: ReconcileOptions) -> list[StreamResult]:
    """Reconcile a tenant. A failure outside of its streams is reported as one of the shop."""
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
    return [*results, *_compare_segments(syncer, tenant)]


def _compare_segments(syncer: Syncer, tenant: Tenant) -> list[StreamResult]:
    """Compare the tenant's segments; a failure is one of the shop."""
    try:
        compare_segments(syncer, tenant)
    except Exception as error:  # noqa: BLE001 - a failure is a result like any other
        return [_failure(tenant, SHOP, error)]
    return []


def _attempt(
    syncer: Syncer, tenant: Tenant, stream: Stream, covered: datetime, options: ReconcileOptions
) -> StreamResult:
    """Reconcile one stream, and save what was found. A failure is a result like any other."""
    now = datetime.now(UTC)
    found = Reconciliation(tenant.tenant_id, stream.name, _night(tenant, now), now)
    result: StreamResult
    try:
        with closing(syncer.client_of(tenant)) as client:
            sync = StreamSync(stream, tenant, client, syncer.database, syncer.spool, syncer.on_progress)
            result = StreamReconciliation(sync, found, options, covered).run()
    except Exception as error:  # noqa: BLE001 - a failure is a result like any other
        found.error = safe_message(error)
        result = _failure(tenant, stream.name, error)
    found.finished_at = datetime.now(UTC)
    try:
        with syncer.database.connect() as connection:
            save(connection, found)
    except Exception as error:  # noqa: BLE001 - as above; a failed comparison says more
        return result if isinstance(result, StreamFailure) else _failure(tenant, stream.name, error)
    return result


def _night(tenant: Tenant, now: datetime) -> date:
    """The date in the shop; in UTC if its time zone is unknown, for which the comparison then fails."""
    try:
        return now.astimezone(zone_of(tenant.tenant_id, tenant.iana_timezone)).date()
    except UnknownZoneError:
        return now.date()


def _failure(tenant: Tenant, stream: str, error: Exception) -> StreamFailure:
    log.debug("%s: %s could not be reconciled. %s", tenant.tenant_id, stream, safe_traceback(error))
    return StreamFailure(tenant.tenant_id, stream, error)
