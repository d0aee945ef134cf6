"""The job `retention`: deletes data that is older than the settings keep it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg

from xeno_pipeline.database.connection import Connection, Database, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.dagster_internals import runs_of_latest_materializations
from xeno_pipeline.defs.failures import finish_run
from xeno_pipeline.defs.jobs.events import purge_inbox
from xeno_pipeline.defs.jobs.names import RETENTION_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.marts.scope import sweep_dead_transforms
from xeno_pipeline.monitoring import alerts
from xeno_pipeline.tenants import registry, syncs, usage
from xeno_pipeline.tenants.bisection import Failures

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

_PURGES: dict[str, Callable[[Connection], None]] = {
    "old API usage": usage.purge,
    "resolved alerts": alerts.purge,
    "what dead transforms left behind": sweep_dead_transforms,
}
"""What is deleted for all tenants at once."""


@dg.op(description="Delete finished runs, webhooks, API usage and alerts that are older than the settings keep them.")
def purge(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Delete what is old; what cannot be deleted does not keep the rest, and fails the run at the end."""
    opened, failures = pipeline.open(), Failures()
    purge_inbox(opened, failures)
    run_age = timedelta(days=opened.settings.run_days)
    problems = _purge_shared(opened.database, _PURGES | {"old syncs": partial(syncs.purge, older_than=run_age)})
    before = datetime.now(UTC) - run_age
    with opened.database.connect() as connection:
        needed = runs_of_latest_materializations(connection)
    deleted = delete_runs(context.instance, before, needed)
    context.log.info(f"{deleted:,} runs from before {before:%Y-%m-%d} were deleted, with their events.")
    with opened.database.connect() as connection:
        tenant_ids = [tenant.tenant_id for tenant in registry.list_all(connection)]
    finish_run(context, opened.database, RETENTION_JOB, tenant_ids, failures)
    if problems:
        raise dg.Failure("\n".join(problems), allow_retries=False)


def _purge_shared(database: Database, purges: Mapping[str, Callable[[Connection], None]]) -> list[str]:
    problems: list[str] = []
    for what, delete in purges.items():
        try:
            with database.connect() as connection:
                delete(connection)
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the rest is deleted, and the run fails at its end
            problems.append(f"{what} could not be deleted: {safe_message(error)}")
    return problems


def delete_runs(instance: dg.DagsterInstance, before: datetime, needed: set[str]) -> int:
    """Delete finished runs with their events, each in transactions of its own, and return how many.

    Args:
        instance: Dagster's.
        before: runs created earlier are deleted.
        needed: the ids of runs to keep.
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
    description="Delete data that is older than the settings keep it.",
)
def retention_job() -> None:
    """One op."""
    purge()
