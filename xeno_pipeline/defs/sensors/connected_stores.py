"""The sensor that has newly connected stores read: one run of the job `sync` for all of them."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

from datetime import UTC, datetime

import dagster as dg

from xeno_pipeline.defs.concurrency import BACKFILL
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_requests import request_for_tenants, unfinished_tenants
from xeno_pipeline.tenants import backfills

_SECONDS_BETWEEN_TICKS = 10


@dg.sensor(
    name="connected_stores",
    job_name=SYNC_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all tenants that were connected and whose history has not been read since.",
)
def connected_stores_sensor(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> dg.RunRequest | dg.SkipReason:
    """Request a run for the tenants that no run reads yet."""
    with pipeline.open().database.connect() as connection:
        due = backfills.due(connection)
    busy = unfinished_tenants(context.instance, SYNC_JOB) if due else set()
    attempts = {tenant_id: attempt for tenant_id, attempt in due.items() if tenant_id not in busy}
    if not attempts:
        return dg.SkipReason("No store waits for its first read.")
    # Once an hour for the same attempts: a run that dies before it starts is not requested again at every tick.
    keys = [f"{datetime.now(UTC):%Y-%m-%dT%H}", *(f"{name}@{attempt}" for name, attempt in attempts.items())]
    return request_for_tenants(SYNC_JOB, list(attempts), run_key=" ".join(keys), lane=BACKFILL)
