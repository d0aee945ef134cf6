"""Requesting runs for tenants, and reading back which tenants a run was requested for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from xeno_pipeline.defs.concurrency import LANE_TAG
from xeno_pipeline.defs.dagster_internals import (
    ASSET_JOB,
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    SCHEDULE_TAG,
    SENSOR_TAG,
)
from xeno_pipeline.defs.jobs.names import TENANTS_OPS

TENANTS_TAG = "xeno/tenants"
"""For people who look at a list of runs. It may be cut: the tenants of a run are in its configuration."""

STARTER_TAG = "xeno/started_by"
"""On runs that no schedule or sensor started."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

_IN_THE_QUEUE = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}

_TAG_LENGTH = 250


def tenants_run_config(job: str, tenants: Sequence[str], **config: Any) -> dict[str, Any]:
    """The configuration of a run of one of the jobs that take tenants."""
    return {"ops": {TENANTS_OPS[job]: {"config": {**config, "tenants": list(tenants)}}}}


def tenants_tags(tenants: Sequence[str]) -> dict[str, str]:
    """The tag that names the tenants of a run."""
    return {TENANTS_TAG: ", ".join(tenants)[:_TAG_LENGTH]}


def request_for_tenants(
    job: str, tenants: Sequence[str], *, run_key: str, lane: Mapping[str, str] | None = None, **config: Any
) -> dg.RunRequest:
    """A request for a run of one of the jobs that take tenants.

    Args:
        config: other fields of the job's configuration.
    """
    return dg.RunRequest(
        run_key=run_key,
        run_config=tenants_run_config(job, tenants, **config),
        tags={**(lane or {}), **tenants_tags(tenants)},
    )


def is_unfinished(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of a job is queued or in progress."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1))


def unfinished_tenants(
    instance: dg.DagsterInstance, job: str, *, unless_queued_in: Mapping[str, str] | None = None
) -> set[str]:
    """The tenants that runs of a job name which are queued or in progress.

    Args:
        unless_queued_in: a lane; runs that wait in its queue do not count.
    """
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED))
    lane = (unless_queued_in or {}).get(LANE_TAG)
    return set[str]().union(
        *(
            _configured_tenants(run)
            for run in runs
            if lane is None or run.status not in _IN_THE_QUEUE or run.tags.get(LANE_TAG) != lane
        )
    )


def starter_of_run(run: dg.DagsterRun) -> str:
    """Who started a run: a schedule, a sensor, the command line or, from the UI, Dagster."""
    names = (run.tags.get(tag) for tag in (SCHEDULE_TAG, SENSOR_TAG, STARTER_TAG))
    return next((name for name in names if name), "Dagster")


def tenants_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str] | None:
    """The tenants that a run was about; None: all, or it is not known."""
    if configured := _configured_tenants(run):
        return configured
    if PARTITION_TAG in run.tags:
        return {run.tags[PARTITION_TAG]}
    first, last = run.tags.get(RANGE_START_TAG), run.tags.get(RANGE_END_TAG)
    partitions = list(instance.get_dynamic_partitions("tenants"))
    if first in partitions and last in partitions:
        return set(partitions[partitions.index(first) : partitions.index(last) + 1])
    return set() if run.job_name == ASSET_JOB else None


def _configured_tenants(run: dg.DagsterRun) -> set[str]:
    op = TENANTS_OPS.get(run.job_name)
    run_config: Mapping[str, Any] = run.run_config
    if op is None or op not in run_config.get("ops", {}):
        return set()
    return set((run_config["ops"][op].get("config") or {}).get("tenants", ()))
