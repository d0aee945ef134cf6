"""The job that keeps tenants subscribed to webhooks, and what starts it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import dagster as dg

from xeno_pipeline.defs.jobs.names import SUBSCRIPTIONS_JOB
from xeno_pipeline.defs.jobs.tenants import TenantsConfig
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_failures import finish_run, select_tenants
from xeno_pipeline.tenants import subscriptions
from xeno_pipeline.tenants.apart import Failures

_NOWHERE = "XENO_PUBLIC_URL is not set: Shopify is told to send no webhooks."
_SECONDS_BETWEEN_TICKS = 30


@dg.op(
    description="Compare the tenants' webhook subscriptions with what they should be, side by side, and repair them."
)
def ensure_subscriptions(context: dg.OpExecutionContext, config: TenantsConfig, pipeline: PipelineResource) -> int:
    """Repair subscriptions; returns how many tenants were compared."""
    opened = pipeline.open()
    public_url = opened.settings.public_url
    if public_url is None:
        context.log.info(_NOWHERE)
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
            failures.reasons[done.tenant_id] = [done.error]
    finish_run(context, opened.database, SUBSCRIPTIONS_JOB, [tenant.tenant_id for tenant in tenants], failures)
    return len(tenants)


@dg.job(
    name=SUBSCRIPTIONS_JOB,
    executor_def=dg.in_process_executor,
    description="Compare the webhook subscriptions of any set of tenants with what they should be, and repair them.",
)
def subscriptions_job() -> None:
    """One op for all tenants."""
    ensure_subscriptions()


def subscriptions_schedule() -> dg.ScheduleDefinition:
    """Compares all tenants every hour."""

    @dg.schedule(
        name="hourly_webhook_subscriptions",
        job=subscriptions_job,
        cron_schedule="37 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compares and repairs the webhook subscriptions of all active tenants, in one run.",
    )
    def hourly(_context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> dg.RunRequest | dg.SkipReason:
        return dg.SkipReason(_NOWHERE) if pipeline.open().settings.public_url is None else dg.RunRequest()

    return hourly


def subscriptions_sensor() -> dg.SensorDefinition:
    """Subscribes tenants that were just connected."""

    @dg.sensor(
        name="new_webhook_subscriptions",
        job=subscriptions_job,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for all tenants whose webhook subscriptions were never compared.",
    )
    def new(_context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.RunRequest | dg.SkipReason:
        opened = pipeline.open()
        if opened.settings.public_url is None:
            return dg.SkipReason(_NOWHERE)
        with opened.database.connect() as connection:
            connected = subscriptions.never_compared(connection)
        if not connected:
            return dg.SkipReason("All tenants' subscriptions were compared.")
        # One run for a connection: where it dies, the hourly one takes over.
        run_key = " ".join(f"{tenant_id}@{at.timestamp()}" for tenant_id, at in connected.items())
        config = {"ops": {"ensure_subscriptions": {"config": {"tenants": list(connected)}}}}
        return dg.RunRequest(run_key=run_key, run_config=config, tags={"xeno/tenants": ", ".join(connected)[:250]})

    return new
