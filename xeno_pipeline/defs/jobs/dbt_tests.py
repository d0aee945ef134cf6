"""The job `dbt_tests`: runs the dbt tests and stores their results, which an asset check then reports."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.jobs.names import DBT_TESTS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.marts.test_results import run_tests


@dg.op(description="Run the dbt tests on the marts as they are, and store the results.")
def run_dbt_tests(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Run the tests; those that fail do not fail the run, since the asset check reports them."""
    opened = pipeline.open()
    tests, failed = run_tests(opened.database, opened.dbt_project)
    for test in failed:
        for tenant_id, message in test.tenants.items():
            context.log.warning(f"{tenant_id or 'every tenant'}: the dbt test {test.name} did not pass: {message}")
    context.log.info(f"{len(tests)} dbt tests ran; {', '.join(test.name for test in failed) or 'none'} failed.")


@dg.job(
    name=DBT_TESTS_JOB,
    executor_def=dg.in_process_executor,
    tags=ROUTINE,
    description="Run the dbt tests on the rows of all tenants. Asset checks report their results.",
)
def dbt_tests_job() -> None:
    """One op."""
    run_dbt_tests()
