"""The materializations of raw tables, their metadata, and how materializations are recorded in a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from operator import attrgetter

import dagster as dg

from xeno_pipeline.defs.dagster_internals import (
    Context,
    materialized_partitions,
    write_materialization,
    write_materialization_batch,
)
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.tenants.bisection import Failures

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


def raw_key(table: str) -> dg.AssetKey:
    """The asset of a raw table."""
    return dg.AssetKey(["raw", table])


def raw_metadata(report: StreamReport, table: str) -> Metadata:
    """The metadata of one tenant's materialization of a raw table."""
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


def raw_materializations(
    results: Iterable[StreamResult], tables: Collection[str], failures: Failures, *, only_changed: bool = False
) -> list[dg.AssetMaterialization]:
    """A materialization for each tenant and raw table that was synced.

    Args:
        results: of a sync; failed streams have none.
        tables: the names of the tables to report.
        failures: collects the tenants whose materializations could not be built.
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
                    metadata = raw_metadata(result, table)
                    found.append(dg.AssetMaterialization(raw_key(table), partition=result.tenant_id, metadata=metadata))
    return found


def record_materializations(context: Context, events: Iterable[dg.AssetMaterialization], failures: Failures) -> None:
    """Record materializations in a run, those of an asset in one transaction.

    Where that fails, each is recorded by itself, and `failures` collects the tenants for which that fails too.
    """
    by_asset = attrgetter("asset_key")
    for key, of_asset in groupby(sorted(events, key=by_asset), by_asset):
        batch = list(of_asset)
        try:
            write_materialization_batch(context, batch)
        except Exception:  # noqa: BLE001 - each is tried by itself, and its failure collected
            recorded = materialized_partitions(context, key)  # the batch may have been written in part
            for event in batch:
                if event.partition not in recorded:
                    with failures.guard(event.partition or "", f"recording {key.to_user_string()}"):
                        write_materialization(context, event)


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
