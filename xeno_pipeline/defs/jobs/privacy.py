"""The job that does what privacy webhooks ask for, and the sensor that starts it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg
from pydantic import Field

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.jobs.names import PRIVACY_JOB
from xeno_pipeline.defs.jobs.tenants import make_marts
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.sensors.backlog import request_run
from xeno_pipeline.defs.tenant_failures import failure_of, keep_failures
from xeno_pipeline.extraction.inbox import Backlog
from xeno_pipeline.marts.transform import TransformReport, TransformRequest
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.processing import Processor
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.tenants.apart import Failures

_SECONDS_BETWEEN_TICKS = 30


class RequestsConfig(dg.Config):
    """Which requests a run is about."""

    requests: list[int] = Field(default_factory=list, description="Their numbers; all that are due where empty.")


@dataclass(frozen=True)
class Processed:
    """What became of the requests of a run.

    Args:
        done: those with nothing left to do.
        in_raw: those that the marts have to follow, with their tenants.
        failures: why others could not be done, by number.
        further: what else failed, and with whom.
        tenants: of all of them, by number.
    """

    done: Sequence[int]
    in_raw: dict[int, str]
    failures: dict[int, str]
    further: Failures
    tenants: dict[int, str]


@dg.op(description="Export, redact, remove: one request after the other; a failure is told at the end.")
def process_privacy_requests(
    context: dg.OpExecutionContext, config: RequestsConfig, pipeline: PipelineResource
) -> Processed:
    """Do what requests ask for, and delete files that have lived long enough."""
    opened = pipeline.open()
    processor = processor_of(opened)
    further = processor.delete_expired_exports()
    with opened.database.connect() as connection:
        wanted = config.requests
        selected = requests.open_requests(connection, wanted) if wanted else requests.due(connection)
    done: list[int] = []
    in_raw: dict[int, str] = {}
    failures: dict[int, str] = {}
    for request in selected:
        try:
            tenant_id = processor.process(request)
        except Exception as error:  # noqa: BLE001 - the others are done all the same
            failures[request.id] = f"{request} failed. {safe_message(error)}"
            continue
        if tenant_id is None:
            done.append(request.id)
        else:
            in_raw[request.id] = tenant_id
    align_partitions(context.instance, opened.database, further)
    return Processed(done, in_raw, failures, further, {request.id: request.tenant_id or "" for request in selected})


@dg.op(description="Note which requests are done; fail where one could not be.")
def settle_privacy_requests(
    context: dg.OpExecutionContext, processed: Processed, report: TransformReport, pipeline: PipelineResource
) -> int:
    """Note what became of the requests, now that the marts have followed, and tell which failed; how many are done."""
    failures = processed.failures | {
        id_: f"Privacy request {id_} waits for the marts. {report.failures[tenant_id]}"
        for id_, tenant_id in processed.in_raw.items()
        if tenant_id in report.failures
    }
    done = [*processed.done, *(processed.in_raw.keys() - failures.keys())]
    database, failed = pipeline.open().database, processed.further
    failed.take_over(report.afterwards)
    for id_ in done:
        step = f"noting that privacy request {id_} is done"
        with failed.guard(processed.tenants[id_], step), database.connect() as connection:
            requests.mark_done(connection, [id_])
    for id_, error in failures.items():
        tenant_id = processed.tenants[id_]
        reason = error.removeprefix(f"{tenant_id}: ")
        failed.reasons.setdefault(tenant_id, []).append(f"{tenant_id}: {reason}")
        with failed.guard(tenant_id, f"noting that privacy request {id_} failed"), database.connect() as connection:
            requests.record_failure(connection, id_, error)
    finish_privacy(context, database, set(processed.tenants.values()), failed)
    return len(done)


def finish_privacy(
    context: dg.OpExecutionContext, database: Database, tenant_ids: set[str], failures: Failures
) -> None:
    """Keep with whom the run failed, and fail; a suspended tenant's requests are no less due than others'.

    Raises:
        Failure: it failed with somebody.
    """
    keep_failures(context, database, PRIVACY_JOB, tenant_ids, failures)
    if failures:
        raise failure_of(failures)


def processor_of(opened: Pipeline) -> Processor:
    """What does requests in a pipeline's database and home."""
    open_client = partial(opened.syncer.client_of, retry_policy=RetryPolicy.QUICK)
    return Processor(opened.database, opened.settings.exports_folder, open_client)


def privacy_job(models: dg.AssetsDefinition) -> dg.JobDefinition:
    """The job that does the requests that are due.

    Args:
        models: the dbt models, of which materialisations are recorded.
    """

    @dg.op(description="Bring the marts of redacted customers' tenants up to date, in one dbt run.")
    def forget_in_marts(
        context: dg.OpExecutionContext, processed: Processed, pipeline: PipelineResource
    ) -> TransformReport:
        tenant_ids = sorted(set(processed.in_raw.values()))
        if not tenant_ids:
            return TransformReport()
        return make_marts(context, pipeline.open(), TransformRequest(tenant_ids), models)

    @dg.job(
        name=PRIVACY_JOB,
        executor_def=dg.in_process_executor,
        description="Do what Shopify's privacy webhooks ask for: export or redact a customer, remove a shop.",
    )
    def privacy() -> None:
        processed = process_privacy_requests()
        settle_privacy_requests(processed, forget_in_marts(processed))

    return privacy


def privacy_sensor(privacy: dg.JobDefinition) -> dg.SensorDefinition:
    """Starts the job when requests are due."""

    @dg.sensor(
        name="privacy_requests",
        job=privacy,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for all privacy requests that are due, unless one is under way.",
    )
    def privacy_requests(
        context: dg.SensorEvaluationContext, pipeline: PipelineResource
    ) -> dg.SensorResult | dg.SkipReason:
        return request_run(context, privacy, pipeline.open().database, _backlog)

    return privacy_requests


def _backlog(connection: Connection) -> Backlog:
    return Backlog(*requests.work(connection))
