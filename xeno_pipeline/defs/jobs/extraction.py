"""What the jobs `sync`, `reconcile` and `events` share: the result of their extraction, and the first two's last op."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.failures import finish_run, stream_failures, transform_failures
from xeno_pipeline.defs.materializations import raw_materializations, record_materializations
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_log import log_results
from xeno_pipeline.defs.tenant_selection import without_skipped
from xeno_pipeline.extraction.report import StreamReport, StreamResult
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.tenants.bisection import Failures


@dataclass(frozen=True)
class Extracted:
    """The result of a run's extraction.

    Args:
        results: of the tenants' streams.
        to_transform: the tenants whose marts are to be updated.
        tenant_ids: all tenants of the run.
        failures: those of steps other than reading streams.
        refit: whether models of predictions that are due may be fitted: not while somebody waits for the marts.
    """

    results: Sequence[StreamResult]
    to_transform: Sequence[str]
    tenant_ids: Sequence[str] = ()
    failures: Failures = field(default_factory=Failures)
    refit: bool = field(default=True, kw_only=True)


def record_results(
    context: dg.OpExecutionContext,
    database: Database,
    results: Sequence[StreamResult],
    tables: Sequence[str],
    failures: Failures,
    *,
    only_changed: bool = True,
) -> Sequence[StreamResult]:
    """Log results and record their materializations; the results without those of tenants that are no longer active."""
    results = without_skipped(context.log, database, results, failures)
    log_results(context.log, results)
    events = raw_materializations(results, tables, failures, only_changed=only_changed)
    record_materializations(context, events, failures)
    return results


def extracted_tenants(results: Sequence[StreamResult]) -> list[str]:
    """The tenants with a stream that was read. The transform skips those of them without changes."""
    return sorted({result.tenant_id for result in results if isinstance(result, StreamReport)})


@dg.op(description="Fail the run if a tenant failed. The data of all other tenants has landed by now.")
def report_failures(
    context: dg.OpExecutionContext, extracted: Extracted, report: TransformReport, pipeline: PipelineResource
) -> None:
    """Store the failures, and raise them."""
    failures = stream_failures(extracted.results, extracted.failures)
    failures.merge(transform_failures(report))
    finish_run(context, pipeline.open().database, context.job_name, extracted.tenant_ids, failures)
