"""The tenants that a run is about: whom it works on, whom it skips, and with whom it failed.

A run may begin long after it was asked for. Whoever was suspended or removed by then, or while it was at work, is
skipped: that is told in its log, and is no failure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.tenants import registry, run_failures
from xeno_pipeline.tenants.apart import Failures
from xeno_pipeline.tenants.registry import Tenant

FAILED_TENANTS = "failed_tenants"
"""The metadata of a failure that names tenants: by tenant, why."""


def select_tenants(log: dg.DagsterLogManager, database: Database, handles: Sequence[str] = ()) -> list[Tenant]:
    """The active tenants of a run; others that it was asked for are skipped.

    Args:
        log: of the run.
        database: where tenants are registered.
        handles: whom it was asked for; all active ones where there are none.
    """
    with database.connect() as connection:
        selection = registry.select(connection, handles)
    _log_skipped(log, selection.skipped)
    if handles and not selection.tenants:
        log.info("Nobody is left to work on.")
    return list(selection.tenants)


def asked_partitions(context: dg.AssetExecutionContext) -> list[str]:
    """The partitions that a run of assets was asked for, those that were deleted since included."""
    try:
        return list(context.partition_keys)
    except dg.DagsterInvalidInvocationError:  # an end of its range is no more; what was planned is known
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        records = context.instance.get_records_for_run(context.run.run_id, of_type=planned).records
        found = {
            event.asset_materialization_planned_data.partition
            for event in (record.event_log_entry.dagster_event for record in records)
            if event is not None
        }
        ends = context.partition_key_range
        return sorted({key for key in found if key} or {ends.start, ends.end})


def without_skipped(
    log: dg.DagsterLogManager, database: Database, results: Sequence[StreamResult], failures: Failures
) -> list[StreamResult]:
    """What became of the streams of tenants that are still active; why others failed is no matter any more.

    Args:
        log: of the run.
        database: where tenants are registered.
        results: of their streams.
        failures: of other steps, from which theirs are taken.
    """
    failed = {result.tenant_id for result in results if isinstance(result, StreamFailure)} | failures.reasons.keys()
    skipped = _skipped(log, database, failed)
    for tenant_id in skipped:
        failures.reasons.pop(tenant_id, None)
    return [result for result in results if isinstance(result, StreamReport) or result.tenant_id not in skipped]


def forgive_skipped(log: dg.DagsterLogManager, database: Database, report: TransformReport) -> None:
    """Take out of a transform's report with whom it failed that is no active tenant any more."""
    for tenant_id in _skipped(log, database, {*report.failures, *report.afterwards.reasons}):
        report.failures.pop(tenant_id, None)
        report.afterwards.reasons.pop(tenant_id, None)


def failures_of(results: Sequence[StreamResult], others: Failures) -> Failures:
    """With whom the reading of streams and other steps failed, a reason for each sentence."""
    failures = Failures()
    for result in results:
        if isinstance(result, StreamFailure):
            reason = safe_message(result.error).removeprefix(f"{result.tenant_id}: ")
            reasons = failures.reasons.setdefault(result.tenant_id, [])
            if (sentence := f"{result.tenant_id}: {reason}") not in reasons:
                reasons.append(sentence)
    failures.take_over(others)
    return failures


def transform_failures(report: TransformReport) -> Failures:
    """With whom a transform failed, or what followed it."""
    failures = Failures({tenant_id: [str(error)] for tenant_id, error in report.failures.items()})
    failures.take_over(report.afterwards)
    return failures


def finish_run(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    database: Database,
    job: str,
    tenant_ids: Collection[str],
    failures: Failures,
) -> None:
    """Keep with whom a run failed, and fail where it did, now that the others have landed.

    Args:
        context: of the run.
        database: where that is kept.
        job: the run's.
        tenant_ids: whom it was about.
        failures: with whom it failed.

    Raises:
        Failure: it failed with somebody.
    """
    for tenant_id in _skipped(context.log, database, failures.reasons.keys()):
        del failures.reasons[tenant_id]
    keep_failures(context, database, job, tenant_ids, failures)
    if failures:
        raise failure_of(failures)


def keep_failures(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    database: Database,
    job: str,
    tenant_ids: Collection[str],
    failures: Failures,
) -> None:
    """Keep with whom a run failed and with whom it did not, where the check of runs looks; see `finish_run`."""
    for tenant_id, reasons in list(failures.reasons.items()):
        reason = " ".join(each.removeprefix(f"{tenant_id}: ") for each in reasons)
        with failures.guard(tenant_id, "keeping that in ops.run_failures"), database.connect() as connection:
            run_failures.record_failure(connection, job, context.run.run_id, tenant_id, reason)

    def clear(some: Sequence[str]) -> None:
        with database.connect() as connection:
            run_failures.clear_failures(connection, job, some)

    well = sorted(set(tenant_ids) - failures.reasons.keys())
    failures.apart(well, "clearing its failures in ops.run_failures", clear)


def failure_of(failures: Failures) -> dg.Failure:
    """The failure that names every tenant that a run failed with, and why."""
    by_tenant = {
        tenant_id: " ".join(reason.removeprefix(f"{tenant_id}: ") for reason in reasons)
        for tenant_id, reasons in sorted(failures.reasons.items())
    }
    return dg.Failure(
        description="\n".join(reason for reasons in failures.reasons.values() for reason in reasons),
        metadata={FAILED_TENANTS: dg.MetadataValue.json(by_tenant)},
        allow_retries=False,
    )


def _skipped(log: dg.DagsterLogManager, database: Database, tenant_ids: Collection[str]) -> Mapping[str, str]:
    """Those of the tenants that are no active ones, and what they are; told in the log."""
    if not tenant_ids:
        return {}
    with database.connect() as connection:
        skipped = registry.select(connection, sorted(tenant_ids)).skipped
    _log_skipped(log, skipped)
    return skipped


def _log_skipped(log: dg.DagsterLogManager, skipped: Mapping[str, str]) -> None:
    for tenant_id, status in skipped.items():
        log.info(f"{tenant_id} is {status}: skipped.")
