"""Deleting what is kept for so long only; else a pipeline that runs every minute fills its disk with its own diary."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRunStatus, OpExecutionContext, RunsFilter, in_process_executor, job, op

from xeno_pipeline.extraction import inbox
from xeno_pipeline.monitoring import alerts
from xeno_pipeline.orchestration.lanes import ROUTINE
from xeno_pipeline.orchestration.pipeline import PipelineResource
from xeno_pipeline.tenants import usage
from xeno_pipeline.transformation.scope import sweep_dead_transforms
from xeno_pipeline.warehouse.connection import Connection

RETENTION_JOB = "retention"

_FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

_NEWEST_MATERIALIZATIONS = """
    select distinct run_id from dagster.event_logs
    where id in (
        select max(id) from dagster.event_logs
        where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key is not null
        group by asset_key, partition
    )
    """
"""Dagster takes a partition for missing once the run is deleted that made it last. There is no such question in its
API; were its table another one day, the query would fail, and nothing be deleted."""


@op(description="Delete what is older than the settings say.")
def purge(context: OpExecutionContext, pipeline: PipelineResource) -> None:
    """Delete finished runs, webhooks, usage, and what dead transforms left behind."""
    opened = pipeline.open()
    before = datetime.now(UTC) - timedelta(days=opened.settings.run_days)
    with opened.database.connect() as connection:
        inbox.purge(connection, timedelta(days=opened.settings.inbox_days))
        usage.purge(connection)
        alerts.purge(connection)
        sweep_dead_transforms(connection)
        needed = newest_materializations(connection)
    deleted = delete_runs(context.instance, before, needed)
    context.log.info(f"{deleted:,} runs from before {before:%Y-%m-%d} were deleted, with their events.")


def newest_materializations(connection: Connection) -> set[str]:
    """The runs that made the newest materialisation of some partition of some asset."""
    return {run_id for (run_id,) in connection.execute(_NEWEST_MATERIALIZATIONS)}


def delete_runs(instance: DagsterInstance, before: datetime, needed: set[str]) -> int:
    """Delete finished runs with their events, each in transactions of its own.

    Args:
        instance: whose.
        before: those created earlier.
        needed: those that stay nonetheless.

    Returns:
        How many were deleted.
    """
    filters = RunsFilter(statuses=_FINISHED, created_before=before)
    old = [run_id for run_id in instance.get_run_ids(filters) if run_id not in needed]
    for run_id in old:
        instance.delete_run(run_id)
    return len(old)


@job(
    name=RETENTION_JOB,
    executor_def=in_process_executor,
    tags=ROUTINE,
    description="Delete what is kept for so long only.",
)
def retention_job() -> None:
    """One op."""
    purge()
