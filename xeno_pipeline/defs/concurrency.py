"""The lanes of the run queue, and the pool of backfills: which runs go first, and which ones wait for each other.

A lane is a tag of the run, with which the run queue bounds how many runs of a lane are in progress at once, and a
priority, by which the queue picks the next run. `dagster.yaml` has the bounds and their reasons.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from xeno_pipeline.defs.dagster_internals import BACKFILL_TAG

LANE_TAG = "xeno/lane"

LIVE = {LANE_TAG: "live", "dagster/priority": "10"}
"""Webhooks: a change is expected in the marts within seconds."""

ROUTINE = {LANE_TAG: "routine", "dagster/priority": "5"}
"""Scheduled runs, and runs started by a person without further tags."""

REQUESTED = {LANE_TAG: "requested", "dagster/priority": "7"}
"""Syncs and segments that somebody waits for; syncs that read a history are in the lane of backfills."""

BACKFILL = {LANE_TAG: "backfill", "dagster/priority": "-5"}
"""Histories of stores. Dagster's own backfills have no lane; the pool bounds them, at priority 0."""

BACKFILL_POOL = "backfills"
"""The pool of the assets: every run that materializes assets takes a slot of it."""

_NICENESS = 10


def lower_cpu_priority(tags: Mapping[str, str]) -> None:
    """Lower the CPU priority of this process if its run is a backfill. Runs of the command line keep theirs.

    Args:
        tags: those of the run.
    """
    if tags.get(LANE_TAG) == BACKFILL[LANE_TAG] or BACKFILL_TAG in tags:
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
