"""The tenants that a run works on.

A run may start long after it was requested. A tenant that was suspended or removed by then, or while the run was in
progress, is skipped: the log says so, and it is not a failure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.dagster_internals import planned_partitions
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.bisection import Failures
from xeno_pipeline.tenants.registry import Tenant


def select_tenants(log: dg.DagsterLogManager, database: Database, handles: Sequence[str] = ()) -> list[Tenant]:
    """The active ones of the requested tenants; all active tenants where none are requested."""
    with database.connect() as connection:
        selection = registry.select(connection, handles)
    _log_skipped(log, selection.skipped)
    if handles and not selection.tenants:
        log.info("None of the requested tenants is active: there is nothing to do.")
    return list(selection.tenants)


def requested_partitions(context: dg.AssetExecutionContext) -> list[str]:
    """The partitions that a run of assets was requested for, those deleted since included."""
    try:
        return list(context.partition_keys)
    except dg.DagsterInvalidInvocationError:  # an end of its range was deleted
        ends = context.partition_key_range
        return sorted(planned_partitions(context) or {ends.start, ends.end})


def without_skipped(
    log: dg.DagsterLogManager, database: Database, results: Sequence[StreamResult], failures: Failures
) -> list[StreamResult]:
    """The results of tenants that are still active; the failures of the others are dropped, also from `failures`."""
    failed = {result.tenant_id for result in results if isinstance(result, StreamFailure)} | failures.reasons.keys()
    skipped = skipped_tenants(log, database, failed)
    failures.discard(skipped)
    return [result for result in results if isinstance(result, StreamReport) or result.tenant_id not in skipped]


def drop_skipped(log: dg.DagsterLogManager, database: Database, report: TransformReport) -> None:
    """Drop the failures of tenants that are no longer active from a transform's report."""
    skipped = skipped_tenants(log, database, {*report.failures, *report.afterwards.reasons})
    report.afterwards.discard(skipped)
    for tenant_id in skipped:
        report.failures.pop(tenant_id, None)


def skipped_tenants(log: dg.DagsterLogManager, database: Database, tenant_ids: Collection[str]) -> Mapping[str, str]:
    """Those of the tenants that are not active, with their status; the log names them."""
    if not tenant_ids:
        return {}
    with database.connect() as connection:
        skipped = registry.select(connection, sorted(tenant_ids)).skipped
    _log_skipped(log, skipped)
    return skipped


def _log_skipped(log: dg.DagsterLogManager, skipped: Mapping[str, str]) -> None:
    for tenant_id, status in skipped.items():
        log.info(f"{tenant_id} is {status}: skipped.")
