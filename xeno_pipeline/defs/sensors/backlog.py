"""Starting a run for what is due: one run for all tenants, and none while one is under way.

A sensor that does so acknowledges nothing: what is due stays due until a run has done its work. So its cursor is no
position, only the memory of what it started a run for, lest a run that dies every time be started again at once for
ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import dagster as dg
import orjson

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.defs.concurrency import UNFINISHED
from xeno_pipeline.defs.instance import fail_dead_runs
from xeno_pipeline.extraction.inbox import Backlog

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class Started:
    """What a sensor started a run for.

    Args:
        event_id: the oldest event (or request) that was due.
        attempts: how often that had been tried; a run that gets as far as trying it changes this.
        runs: how many runs were started for just this.
        at: when the last one was, in seconds since 1970.
    """

    event_id: int
    attempts: int
    runs: int
    at: float


def request_run(
    context: dg.SensorEvaluationContext, job: dg.JobDefinition, database: Database, due: Callable[[Connection], Backlog]
) -> dg.SensorResult | dg.SkipReason:
    """Have a run started for what is due, unless one is under way or the last ones came to nothing just now.

    Args:
        context: the sensor's; its cursor is what this left there the last time.
        job: what does the work.
        database: where the work waits.
        due: finds it there.
    """
    with database.connect() as connection:
        backlog = due(connection)
        ((now,),) = connection.execute("select extract(epoch from now())::float8").fetchall()
    fail_dead_runs(context.instance)  # lest what is due wait for a run that will never end
    under_way = context.instance.get_runs(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=1)
    decision = next_start(backlog, run_is_under_way=bool(under_way), last=read_cursor(context.cursor), now=now)
    if isinstance(decision, str):
        return dg.SkipReason(decision)
    tags = {"xeno/tenants": ", ".join(backlog.tenant_ids)[:250]}
    return dg.SensorResult(run_requests=[dg.RunRequest(tags=tags)], cursor=write_cursor(decision))


def read_cursor(cursor: str | None) -> Started | None:
    """What the cursor remembers; None where that is nothing."""
    return Started(**orjson.loads(cursor)) if cursor else None


def write_cursor(started: Started) -> str:
    """The cursor that remembers this."""
    return orjson.dumps(asdict(started)).decode()


def next_start(backlog: Backlog, *, run_is_under_way: bool, last: Started | None, now: float) -> Started | str:
    """Whether a run is to be started.

    Args:
        backlog: what is due.
        run_is_under_way: a run is queued (it will take on whatever is due by then) or at work.
        last: what the last run was started for.
        now: seconds since 1970.

    Returns:
        What to remember of the run to be started, or why none is.
    """
    if backlog.oldest is None:
        return "Nothing is due."
    if run_is_under_way:
        return "A run is under way."
    if last is None or backlog.oldest != (last.event_id, last.attempts):
        return Started(*backlog.oldest, runs=1, at=now)
    pause = pause_between_runs(last.runs)
    if now < last.at + pause:
        return f"{last.runs} run(s) came to nothing; the next one starts {pause:.0f} s after the last."
    return Started(*backlog.oldest, runs=last.runs + 1, at=now)


def pause_between_runs(runs: int) -> float:
    """Seconds from the start of a run that came to nothing to the next one."""
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(runs, 20), _LONGEST_PAUSE_SECONDS)
