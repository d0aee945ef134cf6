"""The jobs that take any set of tenants in one run: extract, transform, and only then fail, naming the guilty.

A native partitioned run covers a contiguous range of tenants, and a run request one; schedules, events and the
command line need any set at once. The functions that do the work are those the assets call.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import dagster as dg
from pydantic import Field

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.defs.assets.marts import TransformConfig, as_date, mart_materializations
from xeno_pipeline.defs.assets.previews import pictures, recent_pictures, with_pictures
from xeno_pipeline.defs.assets.raw import STREAM_OF_TABLE, SyncConfig
from xeno_pipeline.defs.concurrency import LIVE, ROUTINE, lower_cpu_priority
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.materializations import log_notes, materializations, record
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.run_log import logging_progress
from xeno_pipeline.defs.tenant_failures import (
    failures_of,
    finish_run,
    forgive_skipped,
    select_tenants,
    transform_failures,
    without_skipped,
)
from xeno_pipeline.extraction import inbox, reconciliation
from xeno_pipeline.extraction.events import apply_uninstallations, read_events
from xeno_pipeline.extraction.reconciliation import ReconcileOptions
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.marts.test_results import NOBODY
from xeno_pipeline.marts.transform import TransformReport, TransformRequest, transform
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.tenants import backfills, registry
from xeno_pipeline.tenants.apart import Failures


class TenantsConfig(dg.Config):
    """Whom a run is about."""

    tenants: list[str] = Field(default_factory=list, description="Handles; all active tenants where empty.")


class ExtractConfig(TenantsConfig, SyncConfig):
    """Whom to read, and how."""

    streams: list[str] = Field(default_factory=list, description="Names of streams; all where empty.")
    transform: bool = Field(default=True, description="Bring the marts up to date afterwards.")


class ReconcileConfig(TenantsConfig):
    """Whom to compare with Shopify, and how thoroughly."""

    full: bool = Field(default=False, description="Read all ids, whatever the counts say.")
    accept_deletions: bool = Field(
        default=False, description="Mark as gone however much it is, not only up to one per cent."
    )


class BuildConfig(TenantsConfig, TransformConfig):
    """Whose marts to make, and how."""

    test: bool = Field(default=False, description="Run the dbt tests too.")
    only_due: bool = Field(default=True, description="Leave out tenants whose marts are up to date.")


@dataclass(frozen=True)
class Extracted:
    """What the extraction of a run brought, and whose marts are to follow.

    Args:
        results: of the tenants' streams.
        to_transform: whose marts are to follow.
        tenant_ids: whom the run works on.
        failures: what else failed, and with whom.
    """

    results: Sequence[StreamResult]
    to_transform: Sequence[str]
    tenant_ids: Sequence[str] = ()
    failures: Failures = field(default_factory=Failures)


@dg.op(description="Read the tenants' streams, side by side; one tenant's failure is told at the end.")
def extract_tenants(context: dg.OpExecutionContext, config: ExtractConfig, pipeline: PipelineResource) -> Extracted:
    """Read the streams of any set of tenants, and record what changed."""
    lower_cpu_priority(context.run.tags)
    opened, failures = pipeline.open(), Failures()
    align_partitions(context.instance, opened.database, failures)
    tenants = select_tenants(context.log, opened.database, config.tenants)
    tenant_ids = [tenant.tenant_id for tenant in tenants]
    failures.apart(tenant_ids, "noting that its backfill begins", partial(_with, opened.database, backfills.begin))
    results = logging_progress(opened.syncer, context.log).sync_tenants(tenants, config.request(config.streams))
    if not config.streams:
        failed = {result.tenant_id for result in results if isinstance(result, StreamFailure)}
        done = [tenant_id for tenant_id in tenant_ids if tenant_id not in failed]
        failures.apart(done, "noting that its backfill is done", partial(_with, opened.database, backfills.complete))
    return _extracted(context, opened, tenant_ids, results, failures, config.full, transform=config.transform)


@dg.op(description="Compare the tenants' raw data with Shopify, side by side, and mend what differs.")
def reconcile_tenants(context: dg.OpExecutionContext, config: ReconcileConfig, pipeline: PipelineResource) -> Extracted:
    """Reconcile any set of tenants, and record what changed."""
    opened = pipeline.open()
    tenants = select_tenants(context.log, opened.database, config.tenants)
    options = ReconcileOptions(config.full, config.accept_deletions)
    results = reconciliation.reconcile_tenants(logging_progress(opened.syncer, context.log), tenants, options)
    return _extracted(context, opened, [tenant.tenant_id for tenant in tenants], results, Failures())


def _extracted(
    context: dg.OpExecutionContext,
    opened: Pipeline,
    tenant_ids: Sequence[str],
    results: Sequence[StreamResult],
    failures: Failures,
    records_all: bool = False,
    *,
    transform: bool = True,
) -> Extracted:
    """What an extraction brought, now recorded in the run; whoever is no active tenant any more has not failed."""
    results = without_skipped(context.log, opened.database, results, failures)
    log_notes(context.log, results)
    record(context, materializations(results, STREAM_OF_TABLE, failures, only_changed=not records_all), failures)
    return Extracted(results, _landed(results) if transform else [], tenant_ids, failures)


@dataclass(frozen=True)
class EventsRead(Extracted):
    """What the events of a run brought.

    Args:
        done_before: what was done by then is what the transform takes in.
    """

    done_before: datetime = field(kw_only=True)


@dg.op(description="Read what the due webhooks of all tenants name, side by side; a failure is told at the end.")
def read_due_events(context: dg.OpExecutionContext, pipeline: PipelineResource) -> EventsRead:
    """Read what due events name, and record what changed; what a dead run had read is transformed with it."""
    opened, failures = pipeline.open(), Failures()
    if suspended := apply_uninstallations(opened.database, failures):
        context.log.warning(f"Uninstalled, and so suspended: {', '.join(suspended)}.")
        align_partitions(context.instance, opened.database, failures)
    with opened.database.connect() as connection:
        due = set(inbox.backlog(connection).tenant_ids)
        tenants = [tenant for tenant in registry.active(connection) if tenant.tenant_id in due]
    results = without_skipped(context.log, opened.database, read_events(opened.syncer, tenants), failures)
    log_notes(context.log, results)
    tables = [table.name for table in RAW_TABLES]
    record(context, materializations(results, tables, failures, only_changed=True), failures)
    purge_inbox(opened, failures)
    with opened.database.connect() as connection:
        to_transform, done_before = inbox.tenants_to_transform(connection)
    tenant_ids = sorted({*(tenant.tenant_id for tenant in tenants), *to_transform})
    return EventsRead(results, to_transform, tenant_ids, failures, done_before=done_before)


def purge_inbox(opened: Pipeline, failures: Failures) -> None:
    """Forget the webhooks that have been kept for as long as the settings say."""
    older_than = timedelta(days=opened.settings.inbox_days)
    with opened.database.connect() as connection:
        tenant_ids = inbox.tenants_with_events_before(connection, older_than)

    def purge(some: Sequence[str]) -> int:
        with opened.database.connect() as connection:
            return inbox.purge(connection, older_than, some)

    failures.apart(tenant_ids, "deleting its old webhooks", purge)


@dg.op(description="Note which events the marts show now; fail where a tenant failed.")
def settle_events(
    context: dg.OpExecutionContext, read: EventsRead, report: TransformReport, pipeline: PipelineResource
) -> None:
    """Note what became of the events that were read, and tell which tenants failed."""
    database = pipeline.open().database

    def settle(tenant_ids: Sequence[str]) -> None:
        with database.connect() as connection:
            inbox.mark_in_marts(connection, tenant_ids, read.done_before)

    failures = _failures(read, report)
    in_marts = [tenant_id for tenant_id in read.to_transform if tenant_id not in report.failures]
    failures.apart(in_marts, "noting that its marts show its webhooks", settle)
    for tenant_id, error in report.failures.items():
        with failures.guard(tenant_id, "noting that its webhooks wait"), database.connect() as connection:
            inbox.record_transform_failure(connection, tenant_id, read.done_before, str(error))
    finish_run(context, database, EVENTS_JOB, read.tenant_ids, failures)


def tenant_jobs(models: dg.AssetsDefinition) -> list[dg.JobDefinition]:
    """The job that syncs tenants, the one that makes their marts, and the one that reads what events name.

    Args:
        models: the dbt models, of which materialisations are recorded.
    """

    @dg.op(description="Make the marts of the tenants that landed, in one dbt run.")
    def refresh_marts(
        context: dg.OpExecutionContext, extracted: Extracted, pipeline: PipelineResource
    ) -> TransformReport:
        opened = pipeline.open()
        if not extracted.to_transform:
            return TransformReport()
        tenants = select_tenants(context.log, opened.database, extracted.to_transform)
        return make_marts(context, opened, TransformRequest([tenant.tenant_id for tenant in tenants]), models)

    @dg.op(description="Fail where a tenant failed, now that the others have landed.")
    def conclude(
        context: dg.OpExecutionContext, extracted: Extracted, report: TransformReport, pipeline: PipelineResource
    ) -> None:
        failures = _failures(extracted, report)
        finish_run(context, pipeline.open().database, context.job_name, extracted.tenant_ids, failures)

    @dg.op(description="Make the marts of tenants, in one dbt run.")
    def build_marts(context: dg.OpExecutionContext, config: BuildConfig, pipeline: PipelineResource) -> TransformReport:
        opened, failures = pipeline.open(), Failures()
        align_partitions(context.instance, opened.database, failures)
        tenants = select_tenants(context.log, opened.database, config.tenants)
        request = TransformRequest(
            tenant_ids=[tenant.tenant_id for tenant in tenants],
            as_of=as_date(config.as_of),
            test=config.test,
            only_due=config.only_due,
            rebuild=config.rebuild,
        )
        report = make_marts(context, opened, request, models, draws_all=True)
        report.afterwards.take_over(failures)
        return report

    @dg.op(description="Fail where a tenant's marts could not be made or a test did not pass.")
    def judge_marts(context: dg.OpExecutionContext, report: TransformReport, pipeline: PipelineResource) -> None:
        failures = transform_failures(report)
        for test in report.failed_tests:
            for tenant_id, message in test.tenants.items():
                if tenant_id != NOBODY:
                    reason = f"{tenant_id}: the dbt test {test.name} did not pass: {message}."
                    failures.reasons.setdefault(tenant_id, []).append(reason)
        finish_run(context, pipeline.open().database, TRANSFORM_JOB, report.asked_tenant_ids, failures)
        if report.failed_tests:
            raise dg.Failure("\n".join(f"{test.name}: {test.message}" for test in report.failed_tests))

    @dg.job(
        name=SYNC_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Read what changed at Shopify for any set of tenants, and bring their marts up to date.",
    )
    def sync() -> None:
        extracted = extract_tenants()
        conclude(extracted, refresh_marts(extracted))

    @dg.job(
        name=RECONCILE_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Compare raw with Shopify for any set of tenants, mend it, and bring their marts up to date.",
    )
    def reconcile() -> None:
        extracted = reconcile_tenants()
        conclude(extracted, refresh_marts(extracted))

    @dg.job(
        name=TRANSFORM_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Bring the marts of any set of tenants up to date.",
    )
    def transform_marts() -> None:
        judge_marts(build_marts())

    @dg.job(
        name=EVENTS_JOB,
        executor_def=dg.in_process_executor,
        tags=LIVE,
        description="Read what webhooks named, of all tenants, and bring their marts up to date.",
    )
    def events() -> None:
        read = read_due_events()
        settle_events(read, refresh_marts(read))

    return [sync, reconcile, transform_marts, events]


def _landed(results: Sequence[StreamResult]) -> list[str]:
    """The tenants of whom something was read; the transform leaves out those of whom nothing changed."""
    return sorted({result.tenant_id for result in results if isinstance(result, StreamReport)})


def _failures(extracted: Extracted, report: TransformReport) -> Failures:
    failures = failures_of(extracted.results, extracted.failures)
    failures.take_over(transform_failures(report))
    return failures


def _with(database: Database, work: Callable[[Connection, Collection[str]], None], tenant_ids: Collection[str]) -> None:
    """Do something for tenants in a transaction of its own."""
    with database.connect() as connection:
        work(connection, tenant_ids)


def make_marts(
    context: dg.OpExecutionContext,
    opened: Pipeline,
    request: TransformRequest,
    models: dg.AssetsDefinition,
    *,
    draws_all: bool = False,
) -> TransformReport:
    """Transform, and record what that made in the run.

    Args:
        context: of the run.
        opened: what to work on.
        request: what to transform.
        models: the dbt models.
        draws_all: draw the pictures of all marts now, not only those whose last one is of some minutes ago.
    """
    report = transform(opened.database, opened.dbt_project, request, opened.on_node)
    failures = report.afterwards
    events = list(mart_materializations(report, models, only_changed=request.only_due))
    wanted = {(event.asset_key, event.partition or "") for event in events}
    drawn = {} if draws_all else recent_pictures(context.instance, wanted, failures)
    drawn |= pictures(opened.database, wanted - drawn.keys(), failures)
    record(context, with_pictures(events, drawn, failures), failures)
    forgive_skipped(context.log, opened.database, report)
    context.log.info(f"Marts of {len(report.tenant_ids)} tenants made in {report.seconds:.1f} s.")
    return report
