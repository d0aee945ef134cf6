"""How runs record syncs in `ops.syncs`: their begin, their progress, and their end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.dagster_internals import Context
from xeno_pipeline.defs.instance import fail_dead_runs
from xeno_pipeline.defs.run_requests import UNFINISHED, starter_of_run
from xeno_pipeline.extraction.report import Progress
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.extraction.sync_progress import RecordedRun, SyncProgress
from xeno_pipeline.tenants import syncs
from xeno_pipeline.tenants.bisection import Failures


def begin_requested(
    context: Context, database: Database, tenant_ids: Sequence[str], request: SyncRequest, failures: Failures
) -> dict[str, int]:
    """Mark the requested syncs that this run does as running; their ids by tenant."""
    if request.since or request.until:
        return {}  # nobody requests a span

    def begin(some: Sequence[str]) -> dict[str, int]:
        with database.connect() as connection:
            return syncs.begin(connection, context.run.run_id, some, is_full=request.full, streams=request.streams)

    begun: dict[str, int] = {}
    for part in failures.bisect(tenant_ids, "marking its sync as started", begin):
        begun |= part
    return begun


@contextmanager
def recording_progress(
    context: Context, syncer: Syncer, request: SyncRequest, begun: dict[str, int] | None = None
) -> Iterator[Syncer]:
    """A syncer that writes the progress and the results of its streams to the database as well.

    Args:
        context: of the run.
        request: what it reads.
        begun: the requested syncs that it does, by tenant.
    """
    run = RecordedRun(context.run.run_id, starter_of_run(context.run), request.full, request.streams)
    with SyncProgress(syncer.database, run, begun or {}) as progress:

        def report(each: Progress) -> None:
            syncer.on_progress(each)
            progress.add(each)

        yield replace(syncer, on_progress=report, on_result=progress.add_result)


def finish_syncs(context: Context, database: Database, failures: Failures) -> None:
    """Mark the syncs of a run as finished, and record for which tenants that failed."""
    run_id = context.run.run_id
    with database.connect() as connection:
        tenant_ids = syncs.running_tenants(connection, run_id)
    reasons = failures.by_tenant()

    def finish(some: Collection[str]) -> None:
        of_some = {tenant_id: reasons[tenant_id] for tenant_id in some if tenant_id in reasons}
        with database.connect() as connection:
            syncs.finish(connection, run_id, some, of_some)

    failures.bisect(tenant_ids, "marking its sync as finished", partial(finish))


def close_dead_syncs(instance: dg.DagsterInstance, database: Database) -> None:
    """Close the syncs whose runs ended without doing so: they were killed, or failed as a whole."""
    with database.connect() as connection:
        run_ids = syncs.running_runs(connection)
    if not run_ids:
        return
    fail_dead_runs(instance)
    alive = {run.run_id for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids), statuses=UNFINISHED))}
    if dead := run_ids - alive:
        with database.connect() as connection:
            syncs.close_dead(connection, dead)
