"""Assembling the code location."""

from __future__ import annotations

import warnings

import dagster as dg

from xeno_pipeline.defs.assets.marts import marts_assets
from xeno_pipeline.defs.assets.raw import LANDED, SHOPIFY, raw_assets
from xeno_pipeline.defs.checks import asset_checks, checks_schedule, dbt_tests_schedule
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, PRIVACY_JOB, SYNC_JOB
from xeno_pipeline.defs.jobs.privacy import privacy_job, privacy_sensor
from xeno_pipeline.defs.jobs.retention import retention_job
from xeno_pipeline.defs.jobs.tenants import tenant_jobs
from xeno_pipeline.defs.jobs.webhook_subscriptions import (
    subscriptions_job,
    subscriptions_schedule,
    subscriptions_sensor,
)
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.schedules import schedules
from xeno_pipeline.defs.sensors.alerts import alerts_sensor
from xeno_pipeline.defs.sensors.connected_stores import backfills_sensor
from xeno_pipeline.defs.sensors.events import sensors
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.settings import Settings

# Dagster itself passes this parameter on when it binds a sensor to its job; no user can do anything about it.
warnings.filterwarnings("ignore", "Parameter `owners` of initializer `SensorDefinition", dg.BetaWarning)


def build_defs(settings: Settings, *, pipeline: PipelineResource | None = None) -> dg.Definitions:
    """All assets, jobs, schedules and sensors.

    Args:
        settings: where the database and the dbt project's cache are.
        pipeline: what ops and assets work on; by default each process opens its own.
    """
    manifest = DbtProject(settings).manifest_path
    models = marts_assets(manifest)
    checks = asset_checks(models, manifest)
    jobs = {job.name: job for job in [*tenant_jobs(models), privacy_job(models), subscriptions_job, retention_job]}
    return dg.Definitions(
        assets=[*SHOPIFY, raw_assets, *LANDED, models],
        asset_checks=[checks],
        jobs=list(jobs.values()),
        schedules=[*schedules(jobs), subscriptions_schedule(), checks_schedule(checks), dbt_tests_schedule()],
        sensors=[
            *sensors(jobs[EVENTS_JOB]),
            backfills_sensor(jobs[SYNC_JOB]),
            privacy_sensor(jobs[PRIVACY_JOB]),
            subscriptions_sensor(),
            alerts_sensor(),
        ],
        resources={"pipeline": pipeline or PipelineResource()},
        executor=dg.in_process_executor,  # a run's steps share one process: each further one would cost seconds
    )
