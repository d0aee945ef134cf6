"""The lanes of runs: what goes first, and what keeps out of whose way.

A lane is a tag of the run, with which the run queue bounds how many of a lane run at once, and a priority, by which it
picks the next one. `dagster.yaml` has the bounds and says why.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

LANE_TAG = "xeno/lane"

LIVE = {LANE_TAG: "live", "dagster/priority": "10"}
"""Somebody waits for it: webhooks."""

ROUTINE = {LANE_TAG: "routine", "dagster/priority": "5"}
"""What the clock starts, and what a person starts without saying otherwise."""

BACKFILL = {LANE_TAG: "backfill", "dagster/priority": "-5"}
"""Histories. Dagster's own backfills have no such tag, but a pool, and priority 0."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

BACKFILL_JOB = "__ASSET_JOB"
"""Dagster's name of the job of every run that materialises assets."""

BACKFILL_POOL = "backfills"
"""Of the assets: whoever materialises them, by a backfill or one by one, takes a slot of it."""

_NICENESS = 10


def lower_cpu_priority(tags: Mapping[str, str]) -> None:
    """Let everything else on this machine go first, where this process is a backfill's.

    Args:
        tags: of the run. Those of the command line have neither: who waits for a command is not slowed down.
    """
    if tags.get(LANE_TAG) == BACKFILL[LANE_TAG] or "dagster/backfill" in tags:
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def tenants_under_way(instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """The tenants that are named by the configuration of runs of a job that are queued or at work."""
    named: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED)):
        config: Mapping[str, Any] = run.run_config
        for op in config.get("ops", {}).values():
            named.update(op.get("config", {}).get("tenants", ()))
    return named
