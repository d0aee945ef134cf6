"""The sensor that has newly connected tenants subscribed to webhooks."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import dagster as dg

from xeno_pipeline.defs.jobs.names import SUBSCRIPTIONS_JOB
from xeno_pipeline.defs.jobs.webhook_subscriptions import NO_PUBLIC_URL
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_requests import request_for_tenants
from xeno_pipeline.tenants import subscriptions

_SECONDS_BETWEEN_TICKS = 30


@dg.sensor(
    name="new_webhook_subscriptions",
    job_name=SUBSCRIPTIONS_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all tenants whose webhook subscriptions have never been compared.",
)
def webhook_subscriptions_sensor(
    _context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> dg.RunRequest | dg.SkipReason:
    """Request a run for new tenants."""
    opened = pipeline.open()
    if opened.settings.public_url is None:
        return dg.SkipReason(NO_PUBLIC_URL)
    with opened.database.connect() as connection:
        connected = subscriptions.never_compared(connection)
    if not connected:
        return dg.SkipReason("The subscriptions of all tenants have been compared.")
    # One run for each connection: if it dies, the hourly run takes over.
    run_key = " ".join(f"{tenant_id}@{at.timestamp()}" for tenant_id, at in connected.items())
    return request_for_tenants(SUBSCRIPTIONS_JOB, list(connected), run_key=run_key)
