"""Assembling the code location."""

from __future__ import annotations

from dagster import Definitions, in_process_executor

from xeno_pipeline.orchestration.marts_assets import marts_assets
from xeno_pipeline.orchestration.pipeline import PipelineResource
from xeno_pipeline.orchestration.raw_assets import SHOPIFY, raw_assets
from xeno_pipeline.orchestration.schedules import schedules
from xeno_pipeline.orchestration.tenant_jobs import SYNC_JOB, tenant_jobs
from xeno_pipeline.settings import Settings
from xeno_pipeline.transformation.dbt import DbtProject


def build_defs(settings: Settings, *, pipeline: PipelineResource | None = None) -> Definitions:
    """All assets, jobs and schedules.

    Args:
        settings: where the database and the dbt project's cache are.
        pipeline: what ops and assets work on; by default each process opens its own.
    """
    models = marts_assets(DbtProject(settings).manifest_path)
    jobs = tenant_jobs(models)
    return Definitions(
        assets=[*SHOPIFY, raw_assets, models],
        jobs=jobs,
        schedules=schedules(next(job for job in jobs if job.name == SYNC_JOB)),
        resources={"pipeline": pipeline or PipelineResource()},
        executor=in_process_executor,  # a run's steps share one process: each further one would cost seconds
    )
