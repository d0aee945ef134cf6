"""The raw tables as assets, partitioned by tenant: one row for each object of a store, as Shopify has it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator, Sequence

import dagster as dg

from xeno_pipeline.defs.assets.columns import describe_raw
from xeno_pipeline.defs.assets.shopify import shopify_key
from xeno_pipeline.defs.code_references import references, to_module
from xeno_pipeline.defs.concurrency import BACKFILL_POOL, lower_cpu_priority
from xeno_pipeline.defs.config import SyncConfig
from xeno_pipeline.defs.dagster_internals import ASSET_JOB
from xeno_pipeline.defs.failures import finish_run, stream_failures
from xeno_pipeline.defs.materializations import raw_key, raw_materializations, raw_metadata, record_materializations
from xeno_pipeline.defs.partitions import TENANTS, TENANTS_READ_A_RUN
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_log import log_results, logging_progress
from xeno_pipeline.defs.sync_recording import recording_progress
from xeno_pipeline.defs.tenant_selection import requested_partitions, select_tenants, without_skipped
from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAMS
from xeno_pipeline.raw import origins
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.mapping.mappers import mapping_module
from xeno_pipeline.raw.tables import RawTable, tree
from xeno_pipeline.tenants.bisection import Failures

TABLES_OF_STREAM: dict[str, tuple[RawTable, ...]] = {
    SHOP: (raw.SHOPS,),
    **{stream.name: tree(stream.root) for stream in STREAMS},
}
"""The raw tables that each stream fills."""

STREAM_OF_TABLE = {table.name: stream for stream, tables in TABLES_OF_STREAM.items() for table in tables}


def _spec(table: RawTable, stream: str, *, skippable: bool = True) -> dg.AssetSpec:
    parent = f" Each belongs to a row of raw.{table.parent.name}." if table.parent else ""
    spec = dg.AssetSpec(
        raw_key(table.name),
        deps=[shopify_key(stream)],
        group_name="raw",
        kinds={"shopify", "postgres"},
        tags={"xeno/stream": stream},
        partitions_def=TENANTS,
        description=f"{table.name.replace('_', ' ').capitalize()} as Shopify has them, one row each.{parent}",
        metadata={**references(to_module(origins), to_module(mapping_module(table)))},
        skippable=skippable,
    )
    return describe_raw(spec, table)


CARTS_ASSET = _spec(raw.CARTS, CARTS, skippable=False)
"""An external asset: webhooks fill its table, and no run can be asked to."""


@dg.multi_asset(
    name="extract",
    specs=[_spec(table, STREAM_OF_TABLE[table.name]) for tables in TABLES_OF_STREAM.values() for table in tables],
    can_subset=True,
    pool=BACKFILL_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_READ_A_RUN),
)
def raw_assets(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the selected streams of the run's tenants concurrently.

    If a tenant fails or is skipped, the materializations of the others are recorded one by one, since Dagster would
    record a result for every partition of the run; then the step fails and names the tenants that failed.
    """
    lower_cpu_priority(context.run.tags)
    opened = pipeline.open()
    selected = [key.path[-1] for key in context.selected_asset_keys]
    failures, requested = Failures(), requested_partitions(context)
    tenants = select_tenants(context.log, opened.database, requested)
    streams = sorted({STREAM_OF_TABLE[table] for table in selected})
    request = config.request(streams)
    with recording_progress(context, logging_progress(opened.syncer, context.log), request) as syncer:
        all_results = syncer.sync_tenants(tenants, request)
    results = without_skipped(context.log, opened.database, all_results, failures)
    log_results(context.log, results)
    reports = [result for result in results if isinstance(result, StreamReport)]
    if len(tenants) < len(requested) or len(reports) < len(all_results):
        record_materializations(context, raw_materializations(results, selected, failures), failures)
        failed = stream_failures(results, failures)
        finish_run(context, opened.database, ASSET_JOB, [tenant.tenant_id for tenant in tenants], failed)
        return
    _add_metadata(context, reports, selected, failures)
    for table in selected:
        yield dg.MaterializeResult(asset_key=raw_key(table))
    finish_run(context, opened.database, ASSET_JOB, requested, failures)


def _add_metadata(
    context: dg.AssetExecutionContext, reports: Sequence[StreamReport], tables: Sequence[str], failures: Failures
) -> None:
    for report in reports:
        for table in set(tables).intersection(report.tables):
            with failures.guard(report.tenant_id, f"the metadata of raw.{table}"):
                context.add_asset_metadata(raw_metadata(report, table), raw_key(table), report.tenant_id)
