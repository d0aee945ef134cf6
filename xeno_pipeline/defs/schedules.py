"""What runs by the clock. All of it is on from the start: a pipeline runs itself.

A tick asks the database who is due, and starts runs of many tenants each, so that a thousand tenants cost some tens of
processes and not a thousand. Whoever is in a run that is still queued or at work is left out; a run's key is made of
the tick, so that a tick that is evaluated twice starts nothing twice.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of schedules at run time.

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import dagster as dg

from xeno_pipeline.defs.concurrency import BACKFILL, ROUTINE, tenants_under_way
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.extraction import reconciliation_results
from xeno_pipeline.extraction.state import with_history
from xeno_pipeline.marts.scope import tenants_of_a_new_day
from xeno_pipeline.tenants import registry, usage

TENANTS_A_SYNC = 100
"""A process costs seconds of CPU before it does anything, and a tenant without news hundredths of one."""

TENANTS_A_RECONCILIATION = 50
TENANTS_A_TRANSFORM = 200

HISTORIES_A_TICK = 20
"""Each in a run of its own: nobody knows how large a store is before it was read."""

Requests = list[dg.RunRequest] | dg.SkipReason


def schedules(jobs: Mapping[str, dg.JobDefinition]) -> list[dg.ScheduleDefinition]:
    """The schedules.

    Args:
        jobs: by name, those that are started.
    """

    @dg.schedule(
        name="hourly_sync",
        job=jobs["sync"],
        cron_schedule="7 * * * *",
        description="Reads what changed at Shopify for all active tenants, a hundred in a run; histories that are yet "
        "to be read come in runs of their own.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def hourly_sync(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
        with pipeline.open().database.connect() as connection:
            active = [tenant.tenant_id for tenant in registry.active(connection)]
            read = with_history(connection)
            used = usage.by_tenant(connection)
        busy = tenants_under_way(context.instance, "sync")
        free = [tenant_id for tenant_id in active if tenant_id not in busy]
        exhausted = {tenant_id for tenant_id, so_far in used.items() if so_far.is_exhausted}
        new = [tenant_id for tenant_id in free if tenant_id not in read and tenant_id not in exhausted]
        routine = _runs(context, "extract_tenants", [name for name in free if name in read], TENANTS_A_SYNC)
        histories = _runs(context, "extract_tenants", _round_robin(context, new), 1, BACKFILL)
        return [*routine, *histories] or dg.SkipReason("No active tenant is free to be read.")

    @dg.schedule(
        name="nightly_reconciliation",
        job=jobs["reconcile"],
        cron_schedule="37 * * * *",
        description="Compares raw with Shopify, and mends what differs, for tenants in whose shop it is three o'clock "
        "in the night.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_reconciliation(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
        with pipeline.open().database.connect() as connection:
            due = reconciliation_results.due_tenants(connection)
        busy = tenants_under_way(context.instance, "reconcile")
        free = [tenant_id for tenant_id in due if tenant_id not in busy]
        runs = _runs(context, "reconcile_tenants", free, TENANTS_A_RECONCILIATION)
        return list(runs) or dg.SkipReason("It is night in no tenant's shop.")

    @dg.schedule(
        name="daily_rollover",
        job=jobs["transform_marts"],
        cron_schedule="2,17,32,47 * * * *",
        description="Brings marts into the new day where a shop's clock has passed midnight.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def daily_rollover(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Requests:
        with pipeline.open().database.connect() as connection:
            due = tenants_of_a_new_day(connection)
        busy = tenants_under_way(context.instance, "transform_marts")
        free = {tenant_id: day for tenant_id, day in due.items() if tenant_id not in busy}
        # Of the same tenants and day there is one run, however it ends: the hourly sync transforms what is left due.
        digest = hashlib.sha256(repr(sorted(free.items())).encode()).hexdigest()
        runs = _runs(context, "build_marts", list(free), TENANTS_A_TRANSFORM, key=digest)
        return list(runs) or dg.SkipReason("The marts of all tenants are of today.")

    @dg.schedule(
        name="retention",
        job=jobs["retention"],
        cron_schedule="23 5 * * *",
        description="Deletes what is kept for so long only: finished runs with their events, webhooks, usage.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def retention(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=_tick(context))

    return [hourly_sync, nightly_reconciliation, daily_rollover, retention]


def _round_robin(context: dg.ScheduleEvaluationContext, tenant_ids: Sequence[str]) -> list[str]:
    """Some of the tenants, others every hour: those who fail every time keep nobody waiting."""
    hour = int(context.scheduled_execution_time.timestamp()) // 3600
    first = hour * HISTORIES_A_TICK % len(tenant_ids) if tenant_ids else 0
    return [*tenant_ids[first:], *tenant_ids[:first]][:HISTORIES_A_TICK]


def _runs(
    context: dg.ScheduleEvaluationContext,
    op: str,
    tenant_ids: Sequence[str],
    at_most: int,
    lane: Mapping[str, str] = ROUTINE,
    key: str | None = None,
) -> Iterator[dg.RunRequest]:
    """Runs of no more than so many tenants each, of about the same size."""
    batches = ceil(len(tenant_ids) / at_most)
    for index in range(batches):
        batch = tenant_ids[index::batches]
        config: dict[str, Any] = {"ops": {op: {"config": {"tenants": list(batch)}}}}
        yield dg.RunRequest(
            run_key=f"{key or _tick(context)}/{lane['xeno/lane']}/{index}",
            run_config=config,
            tags={**lane, "xeno/tenants": ", ".join(batch)[:250]},
        )


def _tick(context: dg.ScheduleEvaluationContext) -> str:
    return f"{context.scheduled_execution_time:%Y-%m-%dT%H:%MZ}"
