"""A code location of runs that do nothing but hold their place, in each of the lanes, until they are let go."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import time
from pathlib import Path

from dagster import Definitions, OpExecutionContext, in_process_executor, job, op

from xeno_pipeline.defs.concurrency import BACKFILL, BACKFILL_POOL, LIVE, REQUESTED, ROUTINE

GATE_TAG = "test/gate"
"""The file that a run waits for."""

_LONGEST_SECONDS = 600.0


def _hold(context: OpExecutionContext) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not Path(context.run.tags[GATE_TAG]).exists() and time.monotonic() < deadline:
        time.sleep(0.1)


@op
def hold(context: OpExecutionContext) -> None:
    _hold(context)


@op(pool=BACKFILL_POOL)
def hold_a_slot(context: OpExecutionContext) -> None:
    _hold(context)


@job(tags=LIVE, executor_def=in_process_executor)
def live() -> None:
    hold()


@job(tags=REQUESTED, executor_def=in_process_executor)
def requested() -> None:
    hold()


@job(tags=ROUTINE, executor_def=in_process_executor)
def routine() -> None:
    hold()


@job(executor_def=in_process_executor)
def dagster_backfill() -> None:
    """As those of Dagster's own: no lane, but the pool of the assets."""
    hold_a_slot()


@job(tags=BACKFILL, executor_def=in_process_executor)
def history() -> None:
    hold()


JOBS = {each.name: each for each in (live, requested, routine, dagster_backfill, history)}
defs = Definitions(jobs=list(JOBS.values()))
