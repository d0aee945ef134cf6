"""The job `webhook_subscriptions`: compares each tenant's webhook subscriptions with those it needs."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.config import TenantsConfig
from xeno_pipeline.defs.failures import finish_run
from xeno_pipeline.defs.jobs.names import SUBSCRIPTIONS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_selection import select_tenants
from xeno_pipeline.tenants import subscriptions
from xeno_pipeline.tenants.bisection import Failures

NO_PUBLIC_URL = "XENO_PUBLIC_URL is not set, so Shopify sends no webhooks."


@dg.op(description="Compare each tenant's webhook subscriptions with those it needs, and repair what differs.")
def ensure_subscriptions(context: dg.OpExecutionContext, config: TenantsConfig, pipeline: PipelineResource) -> int:
    """Repair subscriptions, and return for how many tenants they were compared."""
    opened = pipeline.open()
    public_url = opened.settings.public_url
    if public_url is None:
        context.log.info(NO_PUBLIC_URL)
        return 0
    tenants, failures = select_tenants(context.log, opened.database, config.tenants), Failures()
    url = subscriptions.callback_url(public_url)
    for done in subscriptions.register(opened.database, opened.syncer.client_of, tenants, url):
        repaired = [f"created {topic}" for topic in done.created]
        repaired += [f"updated {topic}" for topic in done.updated] + [f"deleted {topic}" for topic in done.deleted]
        if repaired:
            context.log.info(f"{done.tenant_id}: {', '.join(repaired)}.")
        if done.error:
            context.log.warning(done.error)
        if done.error and done.has_failed:
            failures.add(done.tenant_id, done.error)
    finish_run(context, opened.database, SUBSCRIPTIONS_JOB, [tenant.tenant_id for tenant in tenants], failures)
    return len(tenants)


@dg.job(
    name=SUBSCRIPTIONS_JOB,
    executor_def=dg.in_process_executor,
    description="Compare the webhook subscriptions of any set of tenants with those they need, and repair them.",
)
def subscriptions_job() -> None:
    """One op for all tenants."""
    ensure_subscriptions()
