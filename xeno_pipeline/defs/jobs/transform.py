"""The job `transform_marts`, and the op with which other jobs update marts.

Jobs of ops that record materializations, instead of jobs of assets: docs/contribute/dagster.md says why.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.assets.marts import mart_materializations
from xeno_pipeline.defs.assets.previews import add_previews, draw_previews, recent_previews
from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.config import BuildConfig, parse_date
from xeno_pipeline.defs.failures import finish_run, transform_failures
from xeno_pipeline.defs.jobs.extraction import Extracted
from xeno_pipeline.defs.jobs.names import TRANSFORM_JOB
from xeno_pipeline.defs.materializations import record_materializations
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.tenant_selection import drop_skipped, select_tenants
from xeno_pipeline.marts.test_results import NO_TENANT
from xeno_pipeline.marts.transform import TransformReport, TransformRequest, transform
from xeno_pipeline.tenants.bisection import Failures


def update_marts(
    context: dg.OpExecutionContext,
    opened: Pipeline,
    request: TransformRequest,
    models: dg.AssetsDefinition,
    *,
    redraw_all: bool = False,
) -> TransformReport:
    """Transform, and record the materializations in the run.

    Args:
        context: of the run.
        opened: the pipeline to work on.
        request: what to transform.
        models: the dbt models.
        redraw_all: draw all previews again, not only those that are some minutes old.
    """
    report = transform(opened.database, opened.dbt_project, request, opened.on_node)
    failures = report.afterwards
    events = list(mart_materializations(report, models, only_changed=request.only_due))
    wanted = {(event.asset_key, event.partition or "") for event in events}
    previews = {} if redraw_all else recent_previews(context.instance, wanted, failures)
    previews |= draw_previews(opened.database, wanted - previews.keys(), failures)
    record_materializations(context, add_previews(events, previews, failures), failures)
    drop_skipped(context.log, opened.database, report)
    context.log.info(f"The marts of {len(report.tenant_ids)} tenants were updated in {report.seconds:.1f} s.")
    return report


def update_extracted(
    context: dg.OpExecutionContext, opened: Pipeline, extracted: Extracted, models: dg.AssetsDefinition
) -> TransformReport:
    """Update the marts of the tenants that a run has read, as far as they are still active."""
    if not extracted.to_transform:
        return TransformReport()
    tenants = select_tenants(context.log, opened.database, extracted.to_transform)
    request = TransformRequest([tenant.tenant_id for tenant in tenants], refit=extracted.refit)
    return update_marts(context, opened, request, models)


def refresh_marts_op(models: dg.AssetsDefinition) -> dg.OpDefinition:
    """The op that updates the marts of the tenants that a run has read.

    Args:
        models: the dbt models, of which materializations are recorded.
    """

    @dg.op(description="Update the marts of the tenants whose extraction succeeded, in one dbt run.")
    def refresh_marts(
        context: dg.OpExecutionContext, extracted: Extracted, pipeline: PipelineResource
    ) -> TransformReport:
        return update_extracted(context, pipeline.open(), extracted, models)

    return refresh_marts


@dg.op(description="Fail the run if a tenant's marts could not be built, or a dbt test failed.")
def report_build_failures(context: dg.OpExecutionContext, report: TransformReport, pipeline: PipelineResource) -> None:
    """Store the failures, those of tests included, and raise them."""
    failures = transform_failures(report)
    for test in report.failed_tests:
        for tenant_id, message in test.tenants.items():
            if tenant_id != NO_TENANT:
                failures.add(tenant_id, f"the dbt test {test.name} did not pass: {message}.")
    finish_run(context, pipeline.open().database, TRANSFORM_JOB, report.requested_tenant_ids, failures)
    if report.failed_tests:
        raise dg.Failure("\n".join(f"{test.name}: {test.message}" for test in report.failed_tests))


def transform_job(models: dg.AssetsDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        models: the dbt models, of which materializations are recorded.
    """

    @dg.op(description="Update the marts of the tenants, in one dbt run.")
    def build_marts(context: dg.OpExecutionContext, config: BuildConfig, pipeline: PipelineResource) -> TransformReport:
        opened, failures = pipeline.open(), Failures()
        align_partitions(context.instance, opened.database, failures)
        tenants = select_tenants(context.log, opened.database, config.tenants)
        request = TransformRequest(
            tenant_ids=[tenant.tenant_id for tenant in tenants],
            as_of=parse_date(config.as_of),
            test=config.test,
            only_due=config.only_due,
            rebuild=config.rebuild,
            refit=True,
        )
        report = update_marts(context, opened, request, models, redraw_all=True)
        report.afterwards.merge(failures)
        return report

    @dg.job(
        name=TRANSFORM_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Update the marts of any set of tenants.",
    )
    def transform_marts() -> None:
        report_build_failures(build_marts())

    return transform_marts
