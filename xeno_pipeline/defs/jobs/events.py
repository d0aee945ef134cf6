"""The job `events`: reads the objects that webhooks named, and updates the marts of their tenants.

A job of ops that records materializations, instead of a job of assets: docs/contribute/dagster.md says why.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

from xeno_pipeline.defs.concurrency import LIVE
from xeno_pipeline.defs.failures import finish_run
from xeno_pipeline.defs.jobs.extraction import Extracted, all_failures, record_results
from xeno_pipeline.defs.jobs.names import EVENTS_JOB
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.sync_recording import recording_progress
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.events import apply_uninstallations, read_events
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.marts.transform import TransformReport
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.bisection import Failures


@dataclass(frozen=True)
class EventsRead(Extracted):
    """The result of reading a run's events.

    Args:
        done_before: the transform covers the events that were done by then.
    """

    done_before: datetime = field(kw_only=True)


@dg.op(description="Read the objects that due webhooks name, of all tenants concurrently. Failures are reported last.")
def read_due_events(context: dg.OpExecutionContext, pipeline: PipelineResource) -> EventsRead:
    """Read what due events name, and record what changed. Events that an earlier, dead run read are transformed too."""
    opened, failures = pipeline.open(), Failures()
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


@dg.op(description="Mark the events that the marts show now. Fail the run if a tenant failed.")
def settle_events(
    context: dg.OpExecutionContext, read: EventsRead, report: TransformReport, pipeline: PipelineResource
) -> None:
    """Mark the events as visible in the marts or as failed, and raise the failures."""
    database = pipeline.open().database

    def settle(tenant_ids: Sequence[str]) -> None:
        with database.connect() as connection:
            inbox.mark_in_marts(connection, tenant_ids, read.done_before)

    failures = all_failures(read, report)
    in_marts = [tenant_id for tenant_id in read.to_transform if tenant_id not in report.failures]
    failures.bisect(in_marts, "marking its webhooks as visible in the marts", settle)
    for tenant_id, error in report.failures.items():
        step = "recording that its webhooks wait for the marts"
        with failures.guard(tenant_id, step), database.connect() as connection:
            inbox.record_transform_failure(connection, tenant_id, read.done_before, str(error))
    finish_run(context, database, EVENTS_JOB, read.tenant_ids, failures)


def events_job(refresh_marts: dg.OpDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        refresh_marts: updates the marts of the tenants whose events were read.
    """

    @dg.job(
        name=EVENTS_JOB,
        executor_def=dg.in_process_executor,
        tags=LIVE,
        description="Read the objects that webhooks named, of all tenants, and update their marts.",
    )
    def events() -> None:
        read = read_due_events()
        settle_events(read, refresh_marts(read))

    return events
