"""The job `reconcile`: compares raw with Shopify for any set of tenants, and repairs what differs.

A job of ops that records materializations, instead of a job of assets: docs/contribute/dagster.md says why.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.assets.raw import STREAM_OF_TABLE
from xeno_pipeline.defs.concurrency import ROUTINE
from xeno_pipeline.defs.config import ReconcileConfig
from xeno_pipeline.defs.jobs.extraction import Extracted, extracted_tenants, record_results, report_failures
from xeno_pipeline.defs.jobs.names import RECONCILE_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_log import logging_progress
from xeno_pipeline.defs.tenant_selection import select_tenants
from xeno_pipeline.extraction import reconciliation
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.tenants.bisection import Failures


@dg.op(description="Compare the tenants' raw data with Shopify concurrently, and repair what differs.")
def reconcile_tenants(context: dg.OpExecutionContext, config: ReconcileConfig, pipeline: PipelineResource) -> Extracted:
    """Reconcile any set of tenants, and record what changed."""
    opened, failures = pipeline.open(), Failures()
    tenants = select_tenants(context.log, opened.database, config.tenants)
    options = ReconcileOptions(config.full, config.accept_deletions)
    results = reconciliation.reconcile_tenants(logging_progress(opened.syncer, context.log), tenants, options)
    recorded = record_results(context, opened.database, results, list(STREAM_OF_TABLE), failures)
    tenant_ids = [tenant.tenant_id for tenant in tenants]
    return Extracted(recorded, extracted_tenants(recorded), tenant_ids, failures)


def reconcile_job(refresh_marts: dg.OpDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        refresh_marts: updates the marts of the tenants that were reconciled.
    """

    @dg.job(
        name=RECONCILE_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Compare raw with Shopify for any set of tenants, repair what differs, and update their marts.",
    )
    def reconcile() -> None:
        extracted = reconcile_tenants()
        report_failures(extracted, refresh_marts(extracted))

    return reconcile
