"""The job `sync`: reads what changed at Shopify for any set of tenants, and updates their marts.

A job of ops that records materializations, instead of a job of assets: docs/contribute/dagster.md says why.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.assets.raw import STREAM_OF_TABLE
from xeno_pipeline.defs.concurrency import ROUTINE, lower_cpu_priority
from xeno_pipeline.defs.config import ExtractConfig
from xeno_pipeline.defs.jobs.extraction import Extracted, extracted_tenants, record_results, report_failures
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_log import logging_progress
from xeno_pipeline.defs.sync_recording import begin_requested, recording_progress
from xeno_pipeline.defs.tenant_selection import select_tenants
from xeno_pipeline.tenants.bisection import Failures


@dg.op(description="Read the tenants' streams concurrently. A tenant that fails is reported at the end of the run.")
def extract_tenants(context: dg.OpExecutionContext, config: ExtractConfig, pipeline: PipelineResource) -> Extracted:
    """Read the streams of any set of tenants, and record what changed."""
    lower_cpu_priority(context.run.tags)
    opened, failures = pipeline.open(), Failures()
    align_partitions(context.instance, opened.database, failures)
    tenants = select_tenants(context.log, opened.database, config.tenants)
    tenant_ids = [tenant.tenant_id for tenant in tenants]
    request = config.request(config.streams)
    begun = begin_requested(context, opened.database, tenant_ids, request, failures)
    with recording_progress(context, logging_progress(opened.syncer, context.log), request, begun) as syncer:
        results = syncer.sync_tenants(tenants, request)
    tables = list(STREAM_OF_TABLE)
    recorded = record_results(context, opened.database, results, tables, failures, only_changed=not config.full)
    return Extracted(recorded, extracted_tenants(recorded) if config.transform else [], tenant_ids, failures)


def sync_job(refresh_marts: dg.OpDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        refresh_marts: updates the marts of the tenants that were read.
    """

    @dg.job(
        name=SYNC_JOB,
        executor_def=dg.in_process_executor,
        tags=ROUTINE,
        description="Read what changed at Shopify for any set of tenants, and update their marts.",
    )
    def sync() -> None:
        extracted = extract_tenants()
        report_failures(extracted, refresh_marts(extracted))

    return sync
