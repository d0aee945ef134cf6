"""The raw tables as assets, one per Shopify object, partitioned by tenant; above them Shopify itself."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from xeno_pipeline.defs.assets.marts import as_date
from xeno_pipeline.defs.concurrency import BACKFILL_JOB, BACKFILL_POOL, lower_cpu_priority
from xeno_pipeline.defs.materializations import log_notes, materializations, metadata_of, raw_key, record
from xeno_pipeline.defs.partitions import TENANTS
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.run_log import logging_progress
from xeno_pipeline.defs.tenant_failures import (
    asked_partitions,
    failures_of,
    finish_run,
    select_tenants,
    without_skipped,
)
from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAMS
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.tables import RawTable, tree
from xeno_pipeline.tenants.apart import Failures

TABLES_OF_STREAM: dict[str, tuple[RawTable, ...]] = {
    SHOP: (raw.SHOPS,),
    **{stream.name: tree(stream.root) for stream in STREAMS},
}
"""The raw tables that each stream fills."""

STREAM_OF_TABLE = {table.name: stream for stream, tables in TABLES_OF_STREAM.items() for table in tables}

TENANTS_A_RUN = 10
"""How many tenants a backfill's run reads: enough to wait for several shops at once."""


class SyncConfig(dg.Config):
    """How to read the tenants of a run."""

    full: bool = Field(default=False, description="Read the history again, and mark what is gone.")
    accept_deletions: bool = Field(
        default=False, description="Mark as gone however much it is, not only up to one per cent."
    )
    since: str | None = Field(
        default=None,
        description="With `full`: only what was created on this day in the shop or later, as 2026-06-30.",
    )
    until: str | None = Field(default=None, description="With `full`: only what was created up to this day, included.")

    def request(self, streams: Sequence[str]) -> SyncRequest:
        """What to read of those streams.

        Raises:
            UsageError: the days are none.
        """
        return SyncRequest(streams, self.full, self.accept_deletions, as_date(self.since), as_date(self.until))


def _at_shopify(stream: str, where: str = "behind Shopify's Admin API") -> dg.AssetSpec:
    return dg.AssetSpec(
        ["shopify", stream],
        group_name="shopify",
        kinds={"shopify"},
        owners=["team:data"],
        tags={"xeno/stream": stream},
        partitions_def=TENANTS,
        description=f"{stream.replace('_', ' ').capitalize()} of each store, {where}.",
    )


def _spec(table: RawTable, stream: str) -> dg.AssetSpec:
    parent = f" Belongs to raw.{table.parent.name}." if table.parent else ""
    return dg.AssetSpec(
        raw_key(table.name),
        deps=[dg.AssetKey(["shopify", stream])],
        group_name="raw",
        kinds={"shopify", "postgres"},
        owners=["team:data"],
        tags={"xeno/stream": stream},
        partitions_def=TENANTS,
        description=f"{table.name.replace('_', ' ').capitalize()} as Shopify gives them, one row each.{parent}",
        skippable=True,
    )


SHOPIFY = [_at_shopify(stream) for stream in TABLES_OF_STREAM]

LANDED = [
    _at_shopify(CARTS, "which Shopify's webhooks tell of and its Admin API does not"),
    _spec(raw.CARTS, CARTS).replace_attributes(skippable=False),
]
"""What webhooks bring: no run can be asked for it."""


@dg.multi_asset(
    name="extract",
    specs=[_spec(table, STREAM_OF_TABLE[table.name]) for tables in TABLES_OF_STREAM.values() for table in tables],
    can_subset=True,
    pool=BACKFILL_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_A_RUN),
)
def raw_assets(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the selected streams of the run's tenants, side by side.

    A tenant that fails or is skipped leaves the others' materialisations as they are: these are recorded one by one,
    and the step fails naming those that it failed with.
    """
    lower_cpu_priority(context.run.tags)
    opened = pipeline.open()
    selected = [key.path[-1] for key in context.selected_asset_keys]
    streams = {STREAM_OF_TABLE[table] for table in selected}
    failures, asked = Failures(), asked_partitions(context)
    tenants = select_tenants(context.log, opened.database, asked)
    syncer = logging_progress(opened.syncer, context.log)
    results = syncer.sync_tenants(tenants, config.request(sorted(streams)))
    whole = len(results)
    results = without_skipped(context.log, opened.database, results, failures)
    log_notes(context.log, results)
    reports = [result for result in results if isinstance(result, StreamReport)]
    has_landed = len(tenants) == len(asked) and len(reports) == whole
    if not has_landed:  # what all partitions of the run have in common would be a lie
        record(context, materializations(results, selected, failures), failures)
        failed = failures_of(results, failures)
        finish_run(context, opened.database, BACKFILL_JOB, [tenant.tenant_id for tenant in tenants], failed)
        return
    for report in reports:
        for table in set(selected).intersection(report.tables):
            with failures.guard(report.tenant_id, f"the metadata of raw.{table}"):
                context.add_asset_metadata(metadata_of(report, table), raw_key(table), report.tenant_id)
    for table in selected:
        yield dg.MaterializeResult(asset_key=raw_key(table))
    finish_run(context, opened.database, BACKFILL_JOB, asked, failures)
