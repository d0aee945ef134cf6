"""The sensor that starts a run when webhooks are due."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

import dagster as dg

from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.sensors.backlog import request_run
from xeno_pipeline.extraction import inbox

_SECONDS_BETWEEN_TICKS = 1
"""At least. Dagster looks every five; were five asked for, many a look would be passed by for being a hair early."""


def sensors(events: dg.JobDefinition) -> list[dg.SensorDefinition]:
    """What starts runs when something happens.

    Args:
        events: the job that reads what webhooks named.
    """

    @dg.sensor(
        name="webhooks",
        job=events,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for all tenants with due webhooks, unless one is under way.",
    )
    def webhooks(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult | dg.SkipReason:
        return request_run(context, events, pipeline.open().database, inbox.backlog)

    return [webhooks]
