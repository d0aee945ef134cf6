"""The schedules. All of them run by default: an installed pipeline needs nobody to start it.

A tick asks the database which tenants are due, and requests runs of many tenants each: a thousand tenants take tens of
processes. Tenants in a run that is queued or in progress are left out. A run's key is made from the tick, so a tick
that is evaluated twice requests nothing twice.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of schedules at run time.

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

import dagster as dg

from xeno_pipeline.defs.concurrency import BACKFILL, LANE_TAG, ROUTINE
from xeno_pipeline.defs.jobs.names import (
    CHECKS_JOB,
    DBT_TESTS_JOB,
    RECONCILE_JOB,
    RETENTION_JOB,
    SUBSCRIPTIONS_JOB,
    SYNC_JOB,
    TRANSFORM_JOB,
)
from xeno_pipeline.defs.jobs.webhook_subscriptions import NO_PUBLIC_URL
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_requests import is_unfinished, request_for_tenants, unfinished_tenants
from xeno_pipeline.extraction import reconciliation_results
from xeno_pipeline.extraction.state import with_history
from xeno_pipeline.marts.scope import tenants_of_a_new_day
from xeno_pipeline.tenants import registry, usage

TENANTS_A_SYNC = 100
"""Starting a process takes seconds of CPU, a tenant without changes hundredths of one."""

TENANTS_A_RECONCILIATION = 50
TENANTS_A_TRANSFORM = 200

HISTORIES_A_TICK = 20
"""Each in a run of its own, since the size of a store is not known before it is read."""

_RUNNING = dg.DefaultScheduleStatus.RUNNING

Requests = list[dg.RunRequest] | dg.SkipReason


@dg.schedule(
    job_name=SYNC_JOB,
    cron_schedule="7 * * * *",
    default_status=_RUNNING,
    description="Reads what changed at Shopify for all active tenants, a hundred in a run. A tenant whose history is "
    "not read yet gets a run of its own.",
)
def hourly_sync(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
    """Request runs for tenants with a history, and some for tenants without."""
    with pipeline.open().database.connect() as connection:
        active = [tenant.tenant_id for tenant in registry.active(connection)]
        read = with_history(connection)
        used = usage.by_tenant(connection)
    busy = unfinished_tenants(context.instance, SYNC_JOB)
    free = [tenant_id for tenant_id in active if tenant_id not in busy]
    exhausted = {tenant_id for tenant_id, so_far in used.items() if so_far.is_exhausted}
    new = [tenant_id for tenant_id in free if tenant_id not in read and tenant_id not in exhausted]
    routine = _requests(context, SYNC_JOB, [name for name in free if name in read], TENANTS_A_SYNC)
    histories = _requests(context, SYNC_JOB, _round_robin(context, new), 1, BACKFILL)
    return [*routine, *histories] or dg.SkipReason("Every active tenant is in a run, or there is none.")


@dg.schedule(
    job_name=RECONCILE_JOB,
    cron_schedule="37 * * * *",
    default_status=_RUNNING,
    description="Compares raw with Shopify, and repairs what differs, for each tenant at 03:00 in its shop's time "
    "zone.",
)
def nightly_reconciliation(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
    """Request runs for the tenants that are due."""
    with pipeline.open().database.connect() as connection:
        due = reconciliation_results.due_tenants(connection)
    busy = unfinished_tenants(context.instance, RECONCILE_JOB)
    free = [tenant_id for tenant_id in due if tenant_id not in busy]
    return list(_requests(context, RECONCILE_JOB, free, TENANTS_A_RECONCILIATION)) or dg.SkipReason(
        "No tenant is due for its nightly reconciliation."
    )


@dg.schedule(
    job_name=TRANSFORM_JOB,
    cron_schedule="2,17,32,47 * * * *",
    default_status=_RUNNING,
    description="Updates the marts of each tenant after midnight in its shop's time zone.",
)
def daily_rollover(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
    """Request runs for the tenants whose marts are not of today."""
    with pipeline.open().database.connect() as connection:
        due = tenants_of_a_new_day(connection)
    busy = unfinished_tenants(context.instance, TRANSFORM_JOB)
    free = {tenant_id: day for tenant_id, day in due.items() if tenant_id not in busy}
    # One run for the same tenants and day, however it ends: the hourly sync transforms what remains due.
    digest = hashlib.sha256(repr(sorted(free.items())).encode()).hexdigest()
    return list(_requests(context, TRANSFORM_JOB, list(free), TENANTS_A_TRANSFORM, key=digest)) or dg.SkipReason(
        "The marts of all tenants are of today."
    )


@dg.schedule(
    job_name=RETENTION_JOB,
    cron_schedule="23 5 * * *",
    default_status=_RUNNING,
    description="Deletes finished runs with their events, webhooks, API usage and alerts that are older than the "
    "settings keep them.",
)
def retention(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request one run."""
    return dg.RunRequest(run_key=_tick(context))


@dg.schedule(
    name="asset_checks",
    job_name=CHECKS_JOB,
    cron_schedule="11,26,41,56 * * * *",
    default_status=_RUNNING,
    description="Evaluates the asset checks of all layers for all active tenants, in one step.",
)
def checks_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a run, unless one is queued or in progress."""
    if is_unfinished(context.instance, CHECKS_JOB):
        return dg.SkipReason("The previous evaluation of the checks is not finished.")
    return dg.RunRequest()


@dg.schedule(
    job_name=SUBSCRIPTIONS_JOB,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    description="Compares and repairs the webhook subscriptions of all active tenants, in one run.",
)
def hourly_webhook_subscriptions(
    _context: dg.ScheduleEvaluationContext, pipeline: PipelineResource
) -> dg.RunRequest | dg.SkipReason:
    """Request one run for all tenants."""
    return dg.SkipReason(NO_PUBLIC_URL) if pipeline.open().settings.public_url is None else dg.RunRequest()


daily_dbt_tests = dg.ScheduleDefinition(
    name="daily_dbt_tests",
    job_name=DBT_TESTS_JOB,
    cron_schedule="51 4 * * *",
    default_status=_RUNNING,
    description="Runs the dbt tests on the rows of all tenants.",
)

SCHEDULES = [
    hourly_sync,
    nightly_reconciliation,
    daily_rollover,
    retention,
    hourly_webhook_subscriptions,
    checks_schedule,
    daily_dbt_tests,
]


def _round_robin(context: dg.ScheduleEvaluationContext, tenant_ids: Sequence[str]) -> list[str]:
    """Some of the tenants, and others in the next hour: those that fail every time do not hold up the rest."""
    hour = int(context.scheduled_execution_time.timestamp()) // 3600
    first = hour * HISTORIES_A_TICK % len(tenant_ids) if tenant_ids else 0
    return [*tenant_ids[first:], *tenant_ids[:first]][:HISTORIES_A_TICK]


def _requests(
    context: dg.ScheduleEvaluationContext,
    job: str,
    tenant_ids: Sequence[str],
    at_most: int,
    lane: Mapping[str, str] = ROUTINE,
    key: str | None = None,
) -> Iterator[dg.RunRequest]:
    """Runs of about the same size, of at most so many tenants each."""
    batches = ceil(len(tenant_ids) / at_most)
    for index in range(batches):
        run_key = f"{key or _tick(context)}/{lane[LANE_TAG]}/{index}"
        yield request_for_tenants(job, tenant_ids[index::batches], run_key=run_key, lane=lane)


def _tick(context: dg.ScheduleEvaluationContext) -> str:
    return f"{context.scheduled_execution_time:%Y-%m-%dT%H:%MZ}"
