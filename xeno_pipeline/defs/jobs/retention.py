"""Deleting what is kept for so long only; else a pipeline that runs every minute fills its disk with its own diary."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from xeno_pipeline.database.connection import Connection, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.jobs.names import RETENTION_JOB
from xeno_pipeline.defs.jobs.tenants import purge_inbox
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_failures import finish_run
from xeno_pipeline.marts.scope import sweep_dead_transforms
from xeno_pipeline.monitoring import alerts
from xeno_pipeline.tenants import registry, usage
from xeno_pipeline.tenants.apart import Failures

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

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


_OF_NOBODY: Mapping[str, Callable[[Connection], None]] = {
    "usage of long ago": usage.purge,
    "alerts that are over": alerts.purge,
    "what dead transforms left behind": sweep_dead_transforms,
}


@dg.op(description="Delete what is older than the settings say.")
def purge(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Delete finished runs, webhooks, usage, and what dead transforms left behind."""
    opened, failures = pipeline.open(), Failures()
    before = datetime.now(UTC) - timedelta(days=opened.settings.run_days)
    purge_inbox(opened, failures)
    problems: list[str] = []
    for what, work in _OF_NOBODY.items():
        try:
            with opened.database.connect() as connection:
                work(connection)
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the rest is deleted all the same, and it is told at the end
            problems.append(f"{what} could not be deleted: {safe_message(error)}")
    with opened.database.connect() as connection:
        needed = newest_materializations(connection)
    deleted = delete_runs(context.instance, before, needed)
    context.log.info(f"{deleted:,} runs from before {before:%Y-%m-%d} were deleted, with their events.")
    with opened.database.connect() as connection:
        tenant_ids = [tenant.tenant_id for tenant in registry.every(connection)]
    finish_run(context, opened.database, RETENTION_JOB, tenant_ids, failures)
    if problems:
        raise dg.Failure("\n".join(problems), allow_retries=False)


def newest_materializations(connection: Connection) -> set[str]:
    """The runs that made the newest materialisation of some partition of some asset."""
    return {run_id for (run_id,) in connection.execute(_NEWEST_MATERIALIZATIONS)}


def delete_runs(instance: dg.DagsterInstance, before: datetime, needed: set[str]) -> int:
    """Delete finished runs with their events, each in transactions of its own.

    Args:
        instance: whose.
        before: those created earlier.
        needed: those that stay nonetheless.

    Returns:
        How many were deleted.
    """
    filters = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    old = [run_id for run_id in instance.get_run_ids(filters) if run_id not in needed]
    for run_id in old:
        instance.delete_run(run_id)
    return len(old)


@dg.job(
    name=RETENTION_JOB,
    executor_def=dg.in_process_executor,
    tags=ROUTINE,
    description="Delete what is kept for so long only.",
)
def retention_job() -> None:
    """One op."""
    purge()
