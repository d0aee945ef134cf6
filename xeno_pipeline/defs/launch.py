"""Running a job in this process, recorded on the instance: what `xeno sync` and `xeno transform` do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.instance import fail_dead_runs, open_instance
from xeno_pipeline.defs.jobs.names import PRIVACY_JOB, RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.jobs.tenants import Extracted
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.transform import TransformReport

_EXTRACTING_OP = {SYNC_JOB: "extract_tenants", RECONCILE_JOB: "reconcile_tenants"}


class RunFailedError(XenoError):
    """A run failed before it could tell what became of each tenant."""


def run_extraction(
    pipeline: Pipeline, job: str, tenants: Sequence[str], config: Mapping[str, Any]
) -> tuple[Extracted, TransformReport]:
    """Sync or reconcile tenants, and make their marts, in a run.

    Args:
        pipeline: what to work on.
        job: `SYNC_JOB` or `RECONCILE_JOB`.
        tenants: handles of active tenants.
        config: the fields of `ExtractConfig` or `ReconcileConfig` besides.

    Raises:
        RunFailedError: the run as a whole failed.
    """
    op = _EXTRACTING_OP[job]
    result = _run(pipeline, job, {op: {"config": {**config, "tenants": list(tenants)}}}, tenants)
    return _output(result, op), _output(result, "refresh_marts")


def run_transform(pipeline: Pipeline, tenants: Sequence[str], config: Mapping[str, Any]) -> TransformReport:
    """Make the marts of tenants in a run of the job `transform_marts`.

    Args:
        pipeline: what to work on.
        tenants: handles of active tenants.
        config: the fields of `BuildConfig` besides.

    Raises:
        RunFailedError: the run as a whole failed.
    """
    ops = {"build_marts": {"config": {**config, "tenants": list(tenants)}}}
    report: TransformReport = _output(_run(pipeline, TRANSFORM_JOB, ops, tenants), "build_marts")
    return report


def run_privacy(pipeline: Pipeline, request_ids: Sequence[int]) -> int:
    """Do privacy requests in a run of the job `privacy`.

    Args:
        pipeline: what to work on.
        request_ids: which; all that are due where none are given.

    Returns:
        How many are done now.

    Raises:
        RunFailedError: one of them, or the run as a whole, failed.
    """
    ops = {"process_privacy_requests": {"config": {"requests": list(request_ids)}}}
    done: int = _output(_run(pipeline, PRIVACY_JOB, ops, ()), "settle_privacy_requests")
    return done


def _run(pipeline: Pipeline, name: str, ops: Mapping[str, Any], tenants: Sequence[str]) -> dg.ExecuteInProcessResult:
    # The console belongs to whoever called; the run's log is in the instance.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(pipeline.settings) as instance:
        # Within the instance: Dagster asks the one of the context for the state of definitions.
        job = build_defs(pipeline.settings, pipeline=PipelineResource.of(pipeline)).resolve_job_def(name)
        fail_dead_runs(instance)
        tags = {"xeno/tenants": ", ".join(tenants)[:250]}
        return job.execute_in_process(
            run_config={"ops": dict(ops), **quiet}, instance=instance, tags=tags, raise_on_error=False
        )


def _output(result: dg.ExecuteInProcessResult, node: str) -> Any:
    """What an op of a run gave.

    Raises:
        RunFailedError: it failed.
    """
    for event in result.get_step_failure_events():
        if event.step_key == node and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            raise RunFailedError(error.message.partition(": ")[2].strip() or error.message.strip())
    return result.output_for_node(node)
