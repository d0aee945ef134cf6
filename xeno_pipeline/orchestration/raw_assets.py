"""The raw tables as assets, one per Shopify object, partitioned by tenant; above them Shopify itself."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator, Sequence

from dagster import AssetExecutionContext, AssetKey, AssetSpec, BackfillPolicy, Config, MaterializeResult, multi_asset
from pydantic import Field

from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAMS
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.orchestration.lanes import BACKFILL_POOL, give_way
from xeno_pipeline.orchestration.marts_assets import as_date
from xeno_pipeline.orchestration.partitions import TENANTS
from xeno_pipeline.orchestration.pipeline import PipelineResource
from xeno_pipeline.orchestration.progress import logging_progress
from xeno_pipeline.orchestration.reporting import failure, log_notes, materializations, metadata_of, raw_key
from xeno_pipeline.tenants import registry
from xeno_pipeline.warehouse import raw_tables as raw
from xeno_pipeline.warehouse.raw_tables import RawTable, tree

TABLES_OF_STREAM: dict[str, tuple[RawTable, ...]] = {
    SHOP: (raw.SHOPS,),
    **{stream.name: tree(stream.root) for stream in STREAMS},
}
"""The raw tables that each stream fills."""

STREAM_OF_TABLE = {table.name: stream for stream, tables in TABLES_OF_STREAM.items() for table in tables}

TENANTS_A_RUN = 10
"""How many tenants a backfill's run reads: enough to wait for several shops at once."""


class SyncConfig(Config):
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


def _at_shopify(stream: str, where: str = "behind Shopify's Admin API") -> AssetSpec:
    return AssetSpec(
        ["shopify", stream],
        group_name="shopify",
        kinds={"shopify"},
        owners=["team:data"],
        tags={"xeno/stream": stream},
        partitions_def=TENANTS,
        description=f"{stream.replace('_', ' ').capitalize()} of each store, {where}.",
    )


def _spec(table: RawTable, stream: str) -> AssetSpec:
    parent = f" Belongs to raw.{table.parent.name}." if table.parent else ""
    return AssetSpec(
        raw_key(table.name),
        deps=[AssetKey(["shopify", stream])],
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


@multi_asset(
    name="extract",
    specs=[_spec(table, STREAM_OF_TABLE[table.name]) for tables in TABLES_OF_STREAM.values() for table in tables],
    can_subset=True,
    pool=BACKFILL_POOL,
    backfill_policy=BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_A_RUN),
)
def raw_assets(
    context: AssetExecutionContext, config: SyncConfig, pipeline: PipelineResource
) -> Iterator[MaterializeResult[None]]:
    """Read the selected streams of the run's tenants, side by side.

    A tenant that fails leaves the others' materialisations as they are: these are recorded one by one, and the
    step fails naming the guilty.
    """
    give_way(context.run.tags)
    opened = pipeline.open()
    selected = [key.path[-1] for key in context.selected_asset_keys]
    streams = {STREAM_OF_TABLE[table] for table in selected}
    with opened.database.connect() as connection:
        tenants = registry.active(connection, context.partition_keys)
    results = logging_progress(opened.syncer, context.log).sync_tenants(tenants, config.request(sorted(streams)))
    log_notes(context.log, results)
    reports = [result for result in results if isinstance(result, StreamReport)]
    if len(reports) < len(results):
        for event in materializations(results, selected):
            context.log_event(event)
        raise failure(results)
    for report in reports:
        for table in set(selected).intersection(report.tables):
            context.add_asset_metadata(metadata_of(report, table), raw_key(table), report.tenant_id)
    for table in selected:
        yield MaterializeResult(asset_key=raw_key(table))
