"""The sensor that starts a run when webhooks are due."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import dagster as dg

from xeno_pipeline.defs.jobs.names import EVENTS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.sensors.backlog import request_run
from xeno_pipeline.extraction import inbox

_SECONDS_BETWEEN_TICKS = 1
"""Dagster evaluates sensors every five seconds; with an interval of five, a tick a little early would be left out."""


@dg.sensor(
    name="webhooks",
    job_name=EVENTS_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all tenants with due webhooks, unless one is queued or in progress.",
)
def webhooks_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult | dg.SkipReason:
    """Request a run for the due webhooks."""
    return request_run(context, EVENTS_JOB, pipeline.open().database, inbox.backlog)
