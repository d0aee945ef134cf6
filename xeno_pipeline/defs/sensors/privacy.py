"""The sensor that starts a run when privacy requests are due."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import dagster as dg

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.defs.jobs.names import PRIVACY_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.sensors.backlog import request_run
from xeno_pipeline.extraction.inbox import Backlog
from xeno_pipeline.privacy import requests

_SECONDS_BETWEEN_TICKS = 30


@dg.sensor(
    name="privacy_requests",
    job_name=PRIVACY_JOB,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all privacy requests that are due, unless one is queued or in progress.",
)
def privacy_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult | dg.SkipReason:
    """Request a run for the due privacy requests."""
    return request_run(context, PRIVACY_JOB, pipeline.open().database, _backlog)


def _backlog(connection: Connection) -> Backlog:
    return Backlog(*requests.pending_work(connection))
