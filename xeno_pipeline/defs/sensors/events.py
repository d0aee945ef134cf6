"""The sensor that starts a run when webhooks are due."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import dagster as dg

from xeno_pipeline.defs.jobs.names import EVENTS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.sensors.backlog import request_run
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.batches import await_due

_SECONDS_BETWEEN_TICKS = 1
"""Dagster evaluates sensors every five seconds; with an interval of five, a tick a little early would be left out."""

_SECONDS_OF_WAITING = 4.0
"""A tick that finds nothing waits for so long, so that what comes need not wait for the next one. It leaves time for
the daemon to be there for the next."""


@dg.sensor(
    name="webhooks",
    job_name=EVENTS_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all tenants with due webhooks, unless one is queued or in progress.",
)
def webhooks_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult | dg.SkipReason:
    """Request a run for the due webhooks."""
    database = pipeline.open().database
    if context.last_tick_completion_time is not None:  # the first one has the tables made that others wait for
        await_due(database, _SECONDS_OF_WAITING)
    return request_run(context, EVENTS_JOB, database, inbox.backlog)
