"""Requesting a run for a backlog: one run for all tenants, and none while one is unfinished.

A sensor that does so acknowledges nothing: what is due stays due until a run has done it. Its cursor is therefore not a
position. It remembers what the last run was requested for, so that a run that dies every time is retried with growing
pauses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import dagster as dg
import orjson

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.defs.instance import fail_dead_runs
from xeno_pipeline.defs.run_requests import is_unfinished, tenants_tags
from xeno_pipeline.extraction.inbox import Backlog

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class LastRequest:
    """What a sensor last requested a run for.

    Args:
        event_id: the oldest event (or request) that was due.
        attempts: how often it had been tried; a run that gets as far as trying it changes this.
        runs: how many runs have been requested for this event and number of attempts.
        at: when the last one was, in seconds since 1970.
    """

    event_id: int
    attempts: int
    runs: int
    at: float


def request_run(
    context: dg.SensorEvaluationContext, job: str, database: Database, due: Callable[[Connection], Backlog]
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for what is due, unless one is unfinished, or the last ones failed a moment ago.

    Args:
        context: the sensor's; this function maintains its cursor.
        job: the job to run.
        database: where the backlog is.
        due: reads it.
    """
    with database.connect() as connection:
        backlog = due(connection)
        ((now,),) = connection.execute("select extract(epoch from now())::float8").fetchall()
    fail_dead_runs(context.instance)  # or the backlog would wait for a run that never ends
    unfinished = is_unfinished(context.instance, job)
    decision = next_request(backlog, run_is_unfinished=unfinished, last=read_cursor(context.cursor), now=now)
    if isinstance(decision, str):
        return dg.SkipReason(decision)
    request = dg.RunRequest(tags=tenants_tags(backlog.tenant_ids))
    return dg.SensorResult(run_requests=[request], cursor=write_cursor(decision))


def read_cursor(cursor: str | None) -> LastRequest | None:
    """The request that a cursor remembers."""
    return LastRequest(**orjson.loads(cursor)) if cursor else None


def write_cursor(request: LastRequest) -> str:
    """The cursor that remembers a request."""
    return orjson.dumps(asdict(request)).decode()


def next_request(
    backlog: Backlog, *, run_is_unfinished: bool, last: LastRequest | None, now: float
) -> LastRequest | str:
    """Decide whether to request a run.

    Args:
        backlog: what is due.
        run_is_unfinished: a run is in progress, or queued (and will take all that is due when it starts).
        last: what the last run was requested for.
        now: seconds since 1970.

    Returns:
        What to remember of the run to request, or why none is requested.
    """
    if backlog.oldest is None:
        return "Nothing is due."
    if run_is_unfinished:
        return "A run is queued or in progress."
    if last is None or backlog.oldest != (last.event_id, last.attempts):
        return LastRequest(*backlog.oldest, runs=1, at=now)
    pause = pause_between_runs(last.runs)
    if now < last.at + pause:
        return f"The last {last.runs} run(s) did nothing; the next one starts {pause:.0f} s after the last."
    return LastRequest(*backlog.oldest, runs=last.runs + 1, at=now)


def pause_between_runs(runs: int) -> float:
    """Seconds from the start of the last of so many runs that did nothing to the start of the next one."""
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(runs, 20), _LONGEST_PAUSE_SECONDS)
