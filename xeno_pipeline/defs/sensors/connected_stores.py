"""The sensor that has stores read which a merchant has connected: one run of the job `sync` for all of them."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

from datetime import UTC, datetime

import dagster as dg

from xeno_pipeline.defs.concurrency import BACKFILL, tenants_under_way
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.tenants import backfills

_SECONDS_BETWEEN_TICKS = 10


def backfills_sensor(sync: dg.JobDefinition) -> dg.SensorDefinition:
    """Reads connected stores.

    Args:
        sync: the job that reads any set of tenants.
    """

    @dg.sensor(
        name="connected_stores",
        job=sync,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for all tenants that were connected and not read since.",
    )
    def connected(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.RunRequest | dg.SkipReason:
        with pipeline.open().database.connect() as connection:
            due = backfills.due(connection)
        # One that takes hours keeps none waiting that is connected meanwhile.
        busy = tenants_under_way(context.instance, sync.name) if due else set()
        attempts = {tenant_id: attempt for tenant_id, attempt in due.items() if tenant_id not in busy}
        if not attempts:
            return dg.SkipReason("No store is waiting to be read for the first time.")
        # Once an hour for the same attempts: a run that dies before it begins is not started again at every tick.
        run_key = " ".join(
            [f"{datetime.now(UTC):%Y-%m-%dT%H}", *(f"{name}@{attempt}" for name, attempt in attempts.items())]
        )
        config = {"ops": {"extract_tenants": {"config": {"tenants": list(attempts)}}}}
        return dg.RunRequest(
            run_key=run_key, run_config=config, tags={**BACKFILL, "xeno/tenants": ", ".join(attempts)[:250]}
        )

    return connected
