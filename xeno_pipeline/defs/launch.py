"""Running a job in this process, recorded in the instance: what `xeno sync`, `xeno transform` and others do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.dagster_internals import step_error_message
from xeno_pipeline.defs.instance import fail_dead_runs, open_instance
from xeno_pipeline.defs.jobs.extraction import Extracted
from xeno_pipeline.defs.jobs.names import PRIVACY_JOB, PRIVACY_OP, TENANTS_OPS, TRANSFORM_JOB
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.run_requests import STARTER_TAG, tenants_run_config, tenants_tags
from xeno_pipeline.defs.sync_recording import close_dead_syncs
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.transform import TransformReport


class RunFailedError(XenoError):
    """A run failed before it had a result for each tenant."""


def run_extraction(
    pipeline: Pipeline, job: str, tenants: Sequence[str], config: Mapping[str, Any]
) -> tuple[Extracted, TransformReport]:
    """Sync or reconcile tenants, and update their marts, in a run.

    Args:
        pipeline: what to work on.
        job: `SYNC_JOB` or `RECONCILE_JOB`.
        tenants: handles of active tenants.
        config: other fields of `ExtractConfig` or `ReconcileConfig`.

    Raises:
        RunFailedError: the run as a whole failed.
    """
    result = _run_for_tenants(pipeline, job, tenants, config)
    return _output(result, TENANTS_OPS[job]), _output(result, "refresh_marts")


def run_transform(pipeline: Pipeline, tenants: Sequence[str], config: Mapping[str, Any]) -> TransformReport:
    """Update the marts of tenants in a run.

    Args:
        pipeline: what to work on.
        tenants: handles of active tenants.
        config: other fields of `BuildConfig`.

    Raises:
        RunFailedError: the run as a whole failed.
    """
    result = _run_for_tenants(pipeline, TRANSFORM_JOB, tenants, config)
    report: TransformReport = _output(result, TENANTS_OPS[TRANSFORM_JOB])
    return report


def run_privacy(pipeline: Pipeline, request_ids: Sequence[int]) -> int:
    """Process privacy requests in a run, and return how many are done.

    Args:
        pipeline: what to work on.
        request_ids: which; all that are due where none are given.

    Raises:
        RunFailedError: a request, or the run as a whole, failed.
    """
    config = {"ops": {PRIVACY_OP: {"config": {"requests": list(request_ids)}}}}
    done: int = _output(_run(pipeline, PRIVACY_JOB, config, {}), "settle_privacy_requests")
    return done


def _run_for_tenants(
    pipeline: Pipeline, job: str, tenants: Sequence[str], config: Mapping[str, Any]
) -> dg.ExecuteInProcessResult:
    return _run(pipeline, job, tenants_run_config(job, tenants, **config), tenants_tags(tenants))


def _run(
    pipeline: Pipeline, name: str, config: Mapping[str, Any], tags: Mapping[str, str]
) -> dg.ExecuteInProcessResult:
    # The console is the caller's; the run's log is in the instance.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(pipeline.settings) as instance:
        # Within the instance: Dagster takes the state of definitions from the instance that is open.
        job = build_defs(pipeline.settings, pipeline=PipelineResource.of(pipeline)).resolve_job_def(name)
        fail_dead_runs(instance)
        close_dead_syncs(instance, pipeline.database)
        return job.execute_in_process(
            run_config={**config, **quiet},
            instance=instance,
            tags={STARTER_TAG: "command line", **tags},
            raise_on_error=False,
        )


def _output(result: dg.ExecuteInProcessResult, op: str) -> Any:
    """The output of an op.

    Raises:
        RunFailedError: it failed.
    """
    for event in result.get_step_failure_events():
        if event.step_key == op and (message := step_error_message(event)) is not None:
            raise RunFailedError(message)
    return result.output_for_node(op)
