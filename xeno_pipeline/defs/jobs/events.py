"""The job `events`: reads the objects that webhooks named, and updates the marts of their tenants.

A job of one op that records materializations, instead of a job of assets: docs/contribute/dagster.md says why.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

from xeno_pipeline.defs.concurrency import LIVE
from xeno_pipeline.defs.dagster_internals import keeping_connection
from xeno_pipeline.defs.failures import build_failure, store_outcome, stream_failures, transform_failures
from xeno_pipeline.defs.jobs.extraction import Extracted, record_results
from xeno_pipeline.defs.jobs.names import EVENTS_JOB
from xeno_pipeline.defs.jobs.transform import update_extracted
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.sync_recording import recording_progress
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.batches import Shift, batches
from xeno_pipeline.extraction.events import apply_uninstallations, read_events
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.bisection import Failures


@dataclass(frozen=True)
class EventsRead(Extracted):
    """The result of reading a batch of events.

    Args:
        done_before: the transform covers the events that were done by then.
    """

    done_before: datetime = field(kw_only=True)


def read_due_events(context: dg.OpExecutionContext, opened: Pipeline) -> EventsRead:
    """Read what due events name, and record what changed. Events that a dead run read are transformed too."""
    failures = Failures()
    if suspended := apply_uninstallations(opened.database, failures):
        context.log.warning(f"Suspended, since the app was uninstalled: {', '.join(suspended)}.")
        align_partitions(context.instance, opened.database, failures)
    with opened.database.connect() as connection:
        due = set(inbox.backlog(connection).tenant_ids)
        tenants = [tenant for tenant in registry.active(connection) if tenant.tenant_id in due]
    tables = [table.name for table in RAW_TABLES]
    with recording_progress(context, opened.syncer, SyncRequest()) as syncer:
        read = read_events(syncer, tenants)
    results = record_results(context, opened.database, read, tables, failures)
    purge_inbox(opened, failures)
    with opened.database.connect() as connection:
        to_transform, done_before = inbox.tenants_to_transform(connection)
    tenant_ids = sorted({*(tenant.tenant_id for tenant in tenants), *to_transform})
    return EventsRead(results, to_transform, tenant_ids, failures, refit=False, done_before=done_before)


def purge_inbox(opened: Pipeline, failures: Failures) -> None:
    """Delete the webhooks that are older than XENO_INBOX_DAYS."""
    older_than = timedelta(days=opened.settings.inbox_days)
    with opened.database.connect() as connection:
        tenant_ids = inbox.tenants_with_events_before(connection, older_than)

    def purge(some: Sequence[str]) -> int:
        with opened.database.connect() as connection:
            return inbox.purge(connection, older_than, some)

    failures.bisect(tenant_ids, "deleting its old webhooks", purge)


def settle_events(
    context: dg.OpExecutionContext, opened: Pipeline, read: EventsRead, report: TransformReport
) -> Failures:
    """Mark the events of a batch as visible in the marts or as failed, and store for which tenants it failed.

    Returns:
        These tenants, and why.
    """
    database = opened.database

    def settle(tenant_ids: Sequence[str]) -> None:
        with database.connect() as connection:
            inbox.mark_in_marts(connection, tenant_ids, read.done_before)

    further = Failures()  # of streams, the log has the failures
    further.merge(read.failures)
    further.merge(transform_failures(report))
    in_marts = [tenant_id for tenant_id in read.to_transform if tenant_id not in report.failures]
    further.bisect(in_marts, "marking its webhooks as visible in the marts", settle)
    for tenant_id, error in report.failures.items():
        step = "recording that its webhooks wait for the marts"
        with further.guard(tenant_id, step), database.connect() as connection:
            inbox.record_transform_failure(connection, tenant_id, read.done_before, str(error))
    if further:
        context.log.error("\n".join(further.sentences()))
    failures = stream_failures(read.results, further)
    store_outcome(context, database, EVENTS_JOB, read.tenant_ids, failures)
    return failures


def events_job(models: dg.AssetsDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        models: the dbt models, of which materializations are recorded.
    """

    @dg.op(description="Take the due webhooks of all tenants to their marts, batch after batch, until no more come.")
    def take_events(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
        """Take batches. Fail the run at its end if the last batch of a tenant failed."""
        opened, failures = pipeline.open(), Failures()
        shift = Shift(opened.settings.events_quiet_seconds, 60 * opened.settings.events_run_minutes)
        with keeping_connection(context.instance):
            for number in batches(opened.database, shift, opened.is_outdated):
                if number == 1:  # all is imported now, and lives as long as the process
                    gc.freeze()  # or a collection that looks at it takes a quarter of a second in every second batch
                read = read_due_events(context, opened)
                report = update_extracted(context, opened, read, models)
                failed = settle_events(context, opened, read, report)
                failures.discard({*read.tenant_ids, *failed.reasons})
                failures.merge(failed)
        if failures:
            raise build_failure(failures)

    @dg.job(
        name=EVENTS_JOB,
        executor_def=dg.in_process_executor,
        tags=LIVE,
        description="Read the objects that webhooks named, of all tenants, and update their marts.",
    )
    def events() -> None:
        take_events()

    return events
