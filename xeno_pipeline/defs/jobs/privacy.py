"""The job `privacy`: carries out what Shopify's privacy webhooks request."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg

from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.config import PrivacyConfig
from xeno_pipeline.defs.failures import build_failure, store_failures
from xeno_pipeline.defs.jobs.names import PRIVACY_JOB
from xeno_pipeline.defs.jobs.transform import update_marts
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.marts.transform import TransformReport, TransformRequest
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.processing import Processor
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.tenants.bisection import Failures


@dataclass(frozen=True)
class Processed:
    """The results of the requests of a run, by their ids.

    Args:
        done: complete.
        in_raw: complete but for the marts of their tenant.
        errors: why others failed.
        failures: those of other steps, by tenant.
        tenants: of all requests.
    """

    done: Sequence[int]
    in_raw: dict[int, str]
    errors: dict[int, str]
    failures: Failures
    tenants: dict[int, str]


@dg.op(description="Export, redact or remove what each request is about. Requests that fail are reported last.")
def process_privacy_requests(
    context: dg.OpExecutionContext, config: PrivacyConfig, pipeline: PipelineResource
) -> Processed:
    """Process the requests one after the other, and delete exports that have expired."""
    opened = pipeline.open()
    processor = processor_of(opened)
    failures = processor.delete_expired_exports()
    with opened.database.connect() as connection:
        wanted = config.requests
        selected = requests.open_requests(connection, wanted) if wanted else requests.due(connection)
    done: list[int] = []
    in_raw: dict[int, str] = {}
    errors: dict[int, str] = {}
    for request in selected:
        try:
            tenant_id = processor.process(request)
        except Exception as error:  # noqa: BLE001 - the other requests are processed
            errors[request.id] = f"{request} failed. {safe_message(error)}"
            continue
        if tenant_id is None:
            done.append(request.id)
        else:
            in_raw[request.id] = tenant_id
    align_partitions(context.instance, opened.database, failures)
    return Processed(done, in_raw, errors, failures, {request.id: request.tenant_id or "" for request in selected})


@dg.op(description="Mark the requests that are complete. Fail the run if one failed.")
def settle_privacy_requests(
    context: dg.OpExecutionContext, processed: Processed, report: TransformReport, pipeline: PipelineResource
) -> int:
    """Mark each request as done or failed now that the marts are updated, and return how many are done."""
    errors = processed.errors | {
        id_: f"Privacy request {id_} waits for the marts. {report.failures[tenant_id]}"
        for id_, tenant_id in processed.in_raw.items()
        if tenant_id in report.failures
    }
    done = [*processed.done, *(processed.in_raw.keys() - errors.keys())]
    database, failures = pipeline.open().database, processed.failures
    failures.merge(report.afterwards)
    for id_ in done:
        step = f"marking privacy request {id_} as done"
        with failures.guard(processed.tenants[id_], step), database.connect() as connection:
            requests.mark_done(connection, [id_])
    for id_, error in errors.items():
        tenant_id = processed.tenants[id_]
        failures.add(tenant_id, error)
        step = f"recording the failure of privacy request {id_}"
        with failures.guard(tenant_id, step), database.connect() as connection:
            requests.record_failure(connection, id_, error)
    # Not `finish_run`, which drops suspended tenants: their requests are due all the same.
    store_failures(context, database, PRIVACY_JOB, set(processed.tenants.values()), failures)
    if failures:
        raise build_failure(failures)
    return len(done)


def processor_of(opened: Pipeline) -> Processor:
    """The processor of requests of a pipeline.

    Its client retries only briefly: other requests wait while a store is asked whether it is connected, and a failed
    request is retried soon.
    """
    open_client = partial(opened.syncer.client_of, retry_policy=RetryPolicy.QUICK)
    return Processor(opened.database, opened.settings.exports_folder, open_client)


def privacy_job(models: dg.AssetsDefinition) -> dg.JobDefinition:
    """The job.

    Args:
        models: the dbt models, of which materializations are recorded.
    """

    @dg.op(description="Update the marts of the tenants whose customers were redacted, in one dbt run.")
    def redact_marts(
        context: dg.OpExecutionContext, processed: Processed, pipeline: PipelineResource
    ) -> TransformReport:
        tenant_ids = sorted(set(processed.in_raw.values()))
        if not tenant_ids:
            return TransformReport()
        return update_marts(context, pipeline.open(), TransformRequest(tenant_ids), models)

    @dg.job(
        name=PRIVACY_JOB,
        executor_def=dg.in_process_executor,
        description="Carry out what Shopify's privacy webhooks request: export or redact a customer, remove a shop.",
    )
    def privacy() -> None:
        processed = process_privacy_requests()
        settle_privacy_requests(processed, redact_marts(processed))

    return privacy
