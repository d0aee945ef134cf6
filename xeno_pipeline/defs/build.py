"""Assembles the code location from assets, checks, jobs, schedules and sensors. No definitions belong here."""

from __future__ import annotations

import warnings
from types import ModuleType

import dagster as dg

from xeno_pipeline.defs.assets.marts import marts_assets
from xeno_pipeline.defs.assets.predictions import prediction_assets
from xeno_pipeline.defs.assets.raw import CARTS_ASSET, raw_assets
from xeno_pipeline.defs.assets.shopify import SHOPIFY_ASSETS
from xeno_pipeline.defs.checks import asset_checks
from xeno_pipeline.defs.code_references import link_job, link_spec
from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.jobs import (
    dbt_tests,
    events,
    privacy,
    reconcile,
    retention,
    sync,
    transform,
    webhook_subscriptions,
)
from xeno_pipeline.defs.jobs.names import CHECKS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.schedules import SCHEDULES
from xeno_pipeline.defs.sensors.alerts import alerts_sensor
from xeno_pipeline.defs.sensors.changed_segments import changed_segments_sensor
from xeno_pipeline.defs.sensors.events import webhooks_sensor
from xeno_pipeline.defs.sensors.privacy import privacy_sensor
from xeno_pipeline.defs.sensors.requested_syncs import requested_syncs_sensor
from xeno_pipeline.defs.sensors.webhook_subscriptions import webhook_subscriptions_sensor
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.settings import Settings

# Dagster itself passes these parameters on when it binds a sensor or schedule to its job.
warnings.filterwarnings("ignore", "Parameter `owners` of initializer", dg.BetaWarning)


def build_defs(settings: Settings, *, pipeline: PipelineResource | None = None) -> dg.Definitions:
    """The code location.

    Args:
        settings: where the database and the dbt project's cache are.
        pipeline: what ops and assets work on; by default each process opens its own.
    """
    project = DbtProject(settings)
    manifest = project.manifest_path
    models = marts_assets(manifest, project.column_lineage)
    checks = asset_checks(models, manifest)
    checks_job = dg.define_asset_job(
        CHECKS_JOB,
        selection=dg.AssetSelection.checks(checks),
        tags=ROUTINE,
        description="Evaluate the asset checks of all layers for all active tenants.",
    )

    def finish(spec: dg.AssetSpec) -> dg.AssetSpec:
        return link_spec(spec, settings.source_url).replace_attributes(owners=settings.owner_list)

    return dg.Definitions(
        assets=[
            *(finish(spec) for spec in (*SHOPIFY_ASSETS, CARTS_ASSET)),
            *(assets.map_asset_specs(finish) for assets in (raw_assets, prediction_assets, models)),
        ],
        asset_checks=[checks],
        jobs=[*(link_job(job, module, settings.source_url) for job, module in _jobs(models)), checks_job],
        schedules=SCHEDULES,
        sensors=[
            webhooks_sensor,
            requested_syncs_sensor,
            changed_segments_sensor,
            privacy_sensor,
            webhook_subscriptions_sensor,
            alerts_sensor,
        ],
        resources={"pipeline": pipeline or PipelineResource()},
        executor=dg.in_process_executor,  # a run's steps share a process, since each further process takes seconds
    )


def _jobs(models: dg.AssetsDefinition) -> list[tuple[dg.JobDefinition, ModuleType]]:
    """The jobs, each with the module that defines it."""
    refresh_marts = transform.refresh_marts_op(models)
    return [
        (sync.sync_job(refresh_marts), sync),
        (reconcile.reconcile_job(refresh_marts), reconcile),
        (events.events_job(models), events),
        (transform.transform_job(models), transform),
        (privacy.privacy_job(models), privacy),
        (webhook_subscriptions.subscriptions_job, webhook_subscriptions),
        (retention.retention_job, retention),
        (dbt_tests.dbt_tests_job, dbt_tests),
    ]
