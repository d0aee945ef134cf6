"""The sensor that starts runs of the job `sync` for requested syncs, and for stores that were just connected."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import ceil

import dagster as dg

from xeno_pipeline.defs.concurrency import BACKFILL, LANE_TAG, REQUESTED, ROUTINE
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_requests import request_for_tenants, unfinished_tenants
from xeno_pipeline.defs.schedules import TENANTS_A_SYNC
from xeno_pipeline.defs.sync_recording import close_dead_syncs
from xeno_pipeline.extraction.state import with_history
from xeno_pipeline.tenants import syncs
from xeno_pipeline.tenants.syncs import DueSync

_SECONDS_BETWEEN_TICKS = 1
"""Dagster evaluates sensors every five seconds; with an interval of five, a tick a little early would be left out."""

_HISTORIES_A_RUN = 10
"""Several shops are waited for at once, and few stores wait for the largest one's marts."""


@dg.sensor(
    name="requested_syncs",
    job_name=SYNC_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts runs, each for many tenants, for the syncs that were requested, for stores that were connected "
    "and whose history has not been read since, and for those that were not read since webhooks were subscribed.",
)
def requested_syncs_sensor(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs for the syncs that are due, of tenants that no run reads yet."""
    database = pipeline.open().database
    close_dead_syncs(context.instance, database)
    with database.connect() as connection:
        syncs.refuse_inactive(connection)
        syncs.request_after_subscription(connection)
        due = syncs.due(connection)
        if not due:
            return dg.SkipReason("No sync is due.")
        read = with_history(connection)
    # A scheduled run may wait in the queue for minutes, and then does what was requested or finds it done.
    busy = unfinished_tenants(context.instance, SYNC_JOB, unless_queued_in=ROUTINE)
    free = [sync for sync in due if sync.tenant_id not in busy]
    with database.connect() as connection:
        given_up = syncs.give_up(connection, [sync.sync_id for sync in free])
        wanted = [sync for sync in free if sync.sync_id not in given_up]
        syncs.count_attempt(connection, [sync.sync_id for sync in wanted])
    return list(_runs(wanted, read)) or dg.SkipReason("Every store with a due sync is in a run.")


def _runs(due: Sequence[DueSync], read: Collection[str]) -> Iterator[dg.RunRequest]:
    """Runs of about the same size, each of syncs that read the same."""
    alike: dict[tuple[bool, tuple[str, ...], bool], list[DueSync]] = defaultdict(list)
    for sync in due:
        alike[sync.is_full, sync.streams, sync.is_full or sync.tenant_id not in read].append(sync)
    for (is_full, streams, reads_history), group in alike.items():
        lane, at_most = (BACKFILL, _HISTORIES_A_RUN) if reads_history else (REQUESTED, TENANTS_A_SYNC)
        batches = ceil(len(group) / at_most)
        for index in range(batches):
            yield _run(group[index::batches], is_full, streams, lane)


def _run(batch: Sequence[DueSync], is_full: bool, streams: Sequence[str], lane: Mapping[str, str]) -> dg.RunRequest:
    attempts = " ".join(f"{sync.sync_id}@{sync.attempts}" for sync in batch)
    key = f"{lane[LANE_TAG]}/{hashlib.sha256(attempts.encode()).hexdigest()}"
    tenants = [sync.tenant_id for sync in batch]
    return request_for_tenants(SYNC_JOB, tenants, run_key=key, lane=lane, full=is_full, streams=list(streams))
