"""Failures by tenant: collected while a run goes on, stored in `ops.run_failures`, and raised when it is complete."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.dagster_internals import Context
from xeno_pipeline.defs.sync_recording import finish_syncs
from xeno_pipeline.defs.tenant_selection import skipped_tenants
from xeno_pipeline.extraction.report import StreamFailure, StreamResult
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.tenants import run_failures
from xeno_pipeline.tenants.bisection import Failures

FAILED_TENANTS = "failed_tenants"
"""The metadata entry of a `Failure` that has the reason by tenant. Alerts read it."""


def stream_failures(results: Sequence[StreamResult], others: Failures) -> Failures:
    """The failures of streams and of other steps, each reason once."""
    failures = Failures()
    for result in results:
        if isinstance(result, StreamFailure):
            failures.add(result.tenant_id, result.error)
    failures.merge(others)
    return failures


def transform_failures(report: TransformReport) -> Failures:
    """The failures of a transform and of the steps after it."""
    failures = Failures()
    for tenant_id, error in report.failures.items():
        failures.add(tenant_id, error)
    failures.merge(report.afterwards)
    return failures


def finish_run(context: Context, database: Database, job: str, tenant_ids: Collection[str], failures: Failures) -> None:
    """Store which of a run's tenants failed, finish its syncs, and fail the run if any failed: all others have landed.

    Raises:
        Failure: a tenant failed.
    """
    store_outcome(context, database, job, tenant_ids, failures)
    if failures:
        raise build_failure(failures)


def store_outcome(
    context: Context, database: Database, job: str, tenant_ids: Collection[str], failures: Failures
) -> None:
    """Store which of the tenants failed, and finish their syncs. Tenants that are no longer active have not failed."""
    failures.discard(skipped_tenants(context.log, database, failures.reasons.keys()))
    finish_syncs(context, database, failures)
    store_failures(context, database, job, tenant_ids, failures)


def store_failures(
    context: Context, database: Database, job: str, tenant_ids: Collection[str], failures: Failures
) -> None:
    """Store the failures of a run in `ops.run_failures`, and clear those of its other tenants."""
    for tenant_id, reason in failures.by_tenant().items():
        step = "storing the failure in ops.run_failures"
        with failures.guard(tenant_id, step), database.connect() as connection:
            run_failures.record_failure(connection, job, context.run.run_id, tenant_id, reason)

    def clear(some: Sequence[str]) -> None:
        with database.connect() as connection:
            run_failures.clear_failures(connection, job, some)

    succeeded = sorted(set(tenant_ids) - failures.reasons.keys())
    failures.bisect(succeeded, "clearing its failures in ops.run_failures", clear)


def build_failure(failures: Failures) -> dg.Failure:
    """The failure of a run, with the reason by tenant as metadata."""
    return dg.Failure(
        description="\n".join(failures.sentences()),
        metadata={FAILED_TENANTS: dg.MetadataValue.json(failures.by_tenant())},
        allow_retries=False,
    )
