"""The sensor that has members determined once a segment was saved, changed or removed, without waiting for a sync."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import hashlib

import dagster as dg

from xeno_pipeline.defs.concurrency import REQUESTED, ROUTINE
from xeno_pipeline.defs.jobs.names import TRANSFORM_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_requests import request_for_tenants, unfinished_tenants
from xeno_pipeline.segments.registry import changed_segments

_SECONDS_BETWEEN_TICKS = 1
"""Dagster evaluates sensors every five seconds; with an interval of five, a tick a little early would be left out."""


@dg.sensor(
    name="changed_segments",
    job_name=TRANSFORM_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all stores with segments that were saved, changed or removed.",
)
def changed_segments_sensor(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> dg.RunRequest | dg.SkipReason:
    """Request a run for the tenants with changed segments that no run transforms yet."""
    with pipeline.open().database.connect() as connection:
        changed = changed_segments(connection)
    if not changed:
        return dg.SkipReason("No segment has changed.")
    busy = unfinished_tenants(context.instance, TRANSFORM_JOB, unless_queued_in=ROUTINE)
    due = {tenant_id: at for tenant_id, at in changed.items() if tenant_id not in busy}
    if not due:
        return dg.SkipReason("Every store with changed segments is in a run.")
    # One run for a change: where it fails, the next sync's transform tries again, and no sooner.
    changes = " ".join(f"{tenant_id}@{at.isoformat()}" for tenant_id, at in due.items())
    key = f"segments/{hashlib.sha256(changes.encode()).hexdigest()}"
    return request_for_tenants(TRANSFORM_JOB, list(due), run_key=key, lane=REQUESTED)
