"""What Dagster is told of syncs and transforms: materialisations, their metadata, failures."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from uuid import uuid4

import dagster as dg

# Dagster writes the materialisations of a range of partitions in batches, and has no public name for that.
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.execution.context.system import IStepContext

from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.streams import SHOP
from xeno_pipeline.tenants.apart import Failures

Metadata = dict[str, dg.MetadataValue | str | int | float]

_ROWS_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("table", "string"),
        dg.TableColumn("read", "int"),
        dg.TableColumn("inserted", "int"),
        dg.TableColumn("updated", "int"),
        dg.TableColumn("deleted", "int"),
    ]
)

_MOST_AT_ONCE = "1000"


def raw_key(table: str) -> dg.AssetKey:
    """The asset of a raw table."""
    return dg.AssetKey(["raw", table])


def metadata_of(report: StreamReport, table: str) -> Metadata:
    """What a data engineer wants to know of one tenant's sync of one raw table."""
    counts = report.tables[table]
    metadata: Metadata = {
        "dagster/row_count": counts.read,
        "rows_inserted": counts.inserted,
        "rows_updated": counts.updated,
        "rows_deleted": counts.deleted,
        "set_aside": counts.set_aside,
        "read_by": report.mode,
        "bytes_received": report.bytes,
        "api_requests": report.requests,
        "api_points_used": round(report.points),
        "seconds_waiting_for_shopify": round(report.seconds_waiting, 1),
        "seconds": round(report.seconds, 1),
        "cursor_before": _instant(report.cursor_before),
        "cursor_after": _instant(report.cursor_after),
        "stream_rows": dg.MetadataValue.table(_rows(report), schema=_ROWS_SCHEMA),
    }
    if report.notes:
        metadata["notes"] = dg.MetadataValue.md("\n\n".join(report.notes))
    return metadata


def materializations(
    results: Iterable[StreamResult], tables: Collection[str], failures: Failures, *, only_changed: bool = False
) -> list[dg.AssetMaterialization]:
    """A materialisation for each tenant and raw table that was synced.

    Args:
        results: of a sync; failures bring none.
        tables: the tables to tell of.
        failures: told of whom there is something that cannot be recorded.
        only_changed: leave out tables without a changed row, unless their history was read.
    """
    found: list[dg.AssetMaterialization] = []
    for result in results:
        if isinstance(result, StreamFailure):
            continue
        for table, counts in result.tables.items():
            is_history = result.cursor_before is None and result.mode != "facts"
            has_changes = counts.changed or is_history or not only_changed
            if table in tables and has_changes:
                with failures.guard(result.tenant_id, f"recording raw.{table}"):
                    metadata = metadata_of(result, table)
                    found.append(dg.AssetMaterialization(raw_key(table), partition=result.tenant_id, metadata=metadata))
    return found


def record(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    events: Iterable[dg.AssetMaterialization],
    failures: Failures,
) -> None:
    """Record materialisations in a run, those of an asset in one transaction.

    `context.log_event` takes 9 ms for each, four connections to the database among them: a minute for the assets of a
    hundred tenants, while further events wait.

    Args:
        context: of the run.
        events: of partitions.
        failures: told whose could not be recorded; the others are.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _MOST_AT_ONCE)  # without it Dagster writes one by one
    step = context.get_step_execution_context()
    for key, of_asset in groupby(sorted(events, key=_asset), _asset):
        batch = list(of_asset)
        try:
            _record_batch(step, batch)
        except Exception:  # noqa: BLE001 - each is tried by itself, and told of
            recorded = _recorded_partitions(context, key)
            for event in batch:
                if event.partition not in recorded:
                    with failures.guard(event.partition or "", f"recording {key.to_user_string()}"):
                        dg.DagsterEvent.asset_materialization(step, event)


def _record_batch(step: IStepContext, events: Sequence[dg.AssetMaterialization]) -> None:
    batch = uuid4().hex
    for number, event in enumerate(events, start=1):
        metadata = DagsterEventBatchMetadata(batch, is_end=number == len(events))
        dg.DagsterEvent.asset_materialization(step, event, metadata)


def _recorded_partitions(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, key: dg.AssetKey
) -> set[str | None]:
    """The partitions of an asset that this run has recorded: a batch that fails may have been written in part."""
    of_type = dg.DagsterEventType.ASSET_MATERIALIZATION
    records = context.instance.get_records_for_run(context.run.run_id, of_type=of_type).records
    found = [record.event_log_entry.asset_materialization for record in records]
    return {each.partition for each in found if each is not None and each.asset_key == key}


def log_notes(log: dg.DagsterLogManager, results: Sequence[StreamResult]) -> None:
    """Write what a person should know of a sync into the run's log."""
    idle = {result.tenant_id for result in results if isinstance(result, StreamReport) and result.is_idle}
    if idle:
        log.info(f"{len(idle):,} tenant{'s' * (len(idle) != 1)} had nothing new in some stream or in any.")
    for result in results:
        if isinstance(result, StreamFailure):
            log.error(f"{result.tenant_id}: the sync of {result.stream} failed. {safe_message(result.error)}")
            continue
        if result.is_idle or (result.stream == SHOP and not result.rows_changed and not result.notes):
            continue  # a line is an event of Dagster's, and costs milliseconds
        for note in result.notes:
            log.warning(note)
        log.info(
            f"{result.tenant_id}: {result.stream} by {result.mode}: {result.rows_read:,} rows read, "
            f"{result.rows_changed:,} changed, {result.points:,.0f} points, {result.seconds:.1f} s."
        )


def _asset(event: dg.AssetMaterialization) -> dg.AssetKey:
    return event.asset_key


def _instant(instant: object) -> str:
    return str(instant) if instant is not None else "none"


def _rows(report: StreamReport) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "table": table,
                "read": counts.read,
                "inserted": counts.inserted,
                "updated": counts.updated,
                "deleted": counts.deleted,
            }
        )
        for table, counts in report.tables.items()
    ]
