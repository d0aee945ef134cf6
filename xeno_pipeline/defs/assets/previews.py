"""The previews on the page of a mart: plots and tables of one tenant each, without personal data.

The page shows the metadata of the latest materialization, so each materialization carries a preview. A preview reads a
tenant's whole mart; so each mart is queried once for all tenants of a run, and runs that follow within minutes, as
those of webhooks do, repeat the previous preview.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from math import ceil
from operator import itemgetter
from typing import Any

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.assets.charts import against_diagonal, bars, grid
from xeno_pipeline.defs.dagster_internals import latest_materialization_metadata
from xeno_pipeline.defs.materializations import Metadata
from xeno_pipeline.tenants.bisection import Failures

Rows = Sequence[Mapping[str, Any]]
Previews = dict[tuple[dg.AssetKey, str], Metadata]
"""By mart and tenant."""

DRAWN_AT = "drawn_at"
REDRAWN_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Preview:
    """What the page of a mart shows.

    Args:
        name: of the metadata entry.
        query: selects its rows; the tenants are bound to it, and its first column is the tenant.
        draw: builds the metadata from the rows of one tenant.
    """

    name: str
    query: str
    draw: Callable[[Rows], dg.MetadataValue]


def draw_previews(database: Database, wanted: Iterable[tuple[dg.AssetKey, str]], failures: Failures) -> Previews:
    """Draw previews from the marts as they are.

    Args:
        database: where the marts are.
        wanted: assets and tenants; assets without a preview are left out.
        failures: collects the tenants whose preview could not be drawn; these are left out too.
    """
    drawn: Previews = {}
    drawn_at = dg.MetadataValue.timestamp(datetime.now(UTC))
    for key, preview, tenant_ids in _by_mart(wanted):
        step = f"the preview of {key.path[-1]}"
        for rows_of in failures.bisect(tenant_ids, step, partial(_read, database, preview)):
            for tenant_id, rows in rows_of.items():
                with failures.guard(tenant_id, step):
                    drawn[key, tenant_id] = {preview.name: preview.draw(rows), DRAWN_AT: drawn_at}
    return drawn


def _read(database: Database, preview: Preview, tenant_ids: Sequence[str]) -> dict[str, Rows]:
    """The rows of a preview, by tenant."""
    with database.connect() as connection:
        cursor = connection.execute(preview.query, [list(tenant_ids)])
        names = [column.name for column in cursor.description or ()]
        return {
            tenant_id: [dict(zip(names[1:], row[1:], strict=True)) for row in rows]
            for tenant_id, rows in groupby(cursor.fetchall(), itemgetter(0))
        }


def recent_previews(
    instance: dg.DagsterInstance, wanted: Iterable[tuple[dg.AssetKey, str]], failures: Failures
) -> Previews:
    """The previews of the latest materializations that are not yet old enough to be drawn again.

    Args:
        instance: where they are recorded.
        wanted: assets and tenants.
        failures: collects the tenants whose preview could not be read.
    """
    found: Previews = {}
    for key, preview, tenant_ids in _by_mart(wanted):
        step = f"the last preview of {key.path[-1]}"
        for part in failures.bisect(tenant_ids, step, partial(_recent, instance, key, preview)):
            found |= part
    return found


def _recent(instance: dg.DagsterInstance, key: dg.AssetKey, preview: Preview, tenant_ids: Sequence[str]) -> Previews:
    oldest = (datetime.now(UTC) - REDRAWN_AFTER).timestamp()
    latest = latest_materialization_metadata(instance, key, tenant_ids)
    return {
        (key, tenant_id): {name: metadata[name] for name in (preview.name, DRAWN_AT)}
        for tenant_id, metadata in latest.items()
        if isinstance(drawn_at := metadata.get(DRAWN_AT), dg.TimestampMetadataValue) and drawn_at.value > oldest
    }


def add_previews(
    events: Iterable[dg.AssetMaterialization], previews: Previews, failures: Failures
) -> list[dg.AssetMaterialization]:
    """The materializations with the previews of their marts and tenants; without, where one cannot be added."""
    found: list[dg.AssetMaterialization] = []
    for event in events:
        preview, shown = previews.get((event.asset_key, event.partition or "")), event
        if preview is not None:
            with failures.guard(event.partition or "", f"the preview of {event.asset_key.path[-1]}"):
                shown = event.with_metadata({**event.metadata, **preview})
        found.append(shown)
    return found


def _by_mart(wanted: Iterable[tuple[dg.AssetKey, str]]) -> Iterator[tuple[dg.AssetKey, Preview, Sequence[str]]]:
    """The wanted marts that have a preview, with their tenants."""
    for key, of_mart in groupby(sorted(wanted, key=lambda pair: pair[0].to_user_string()), itemgetter(0)):
        preview = _PREVIEWS.get(key.path[-1]) if key.path[0] == "marts" else None
        if preview is not None:
            yield key, preview, [tenant_id for _, tenant_id in of_mart]


def _revenue(rows: Rows) -> dg.MetadataValue:
    sales = [float(row["net_sales"]) for row in rows]
    first, last = rows[0]["date_day"], rows[-1]["date_day"]
    return dg.MetadataValue.md(
        f"Net sales by day, {first} to {last}; highest day {max(sales):,.2f}, total {sum(sales):,.2f}\n\n"
        + bars("Net sales by day", sales)
    )


def _rfm(rows: Rows) -> dg.MetadataValue:
    cells = {
        (5 - row["recency_score"], row["frequency_score"] - 1): (float(row["customers"]), f"{row['customers']:,}")
        for row in rows
    }
    columns, labels = [f"F{n}" for n in range(1, 6)], [f"R{n}" for n in range(5, 0, -1)]
    title = "Customers by recency and frequency score (5 is best)"
    if not rows[0]["rfm_is_meaningful"]:
        title += ". There are too few customers, or too little difference between them, for the scores to be meaningful"
    return dg.MetadataValue.md(f"{title}\n\n" + grid(columns, labels, cells))


def _retention(rows: Rows) -> dg.MetadataValue:
    cohorts = sorted({row["cohort_month"] for row in rows})
    cells = {
        (cohorts.index(row["cohort_month"]), row["period_number"] - 1): (
            float(row["retention_rate"]),
            f"{row['retention_rate']:.0%}",
        )
        for row in rows
    }
    columns = [str(n) for n in range(1, max(row["period_number"] for row in rows) + 1)]
    title = "Customers who ordered again, by months since their first order\n\n"
    return dg.MetadataValue.md(title + grid(columns, [f"{cohort:%Y-%m}" for cohort in cohorts], cells))


def _calibration(rows: Rows) -> dg.MetadataValue:
    (newest,) = rows
    verdict = newest["unreliable_because"] or "All predictions are reliable."
    columns = ["customers", "predicted", "actual"]
    labels = ["lowest fifth", "second", "third", "fourth", "highest fifth"]
    cells = {
        (row, column): (fifth[name] if column else 0.0, f"{fifth[name]:.1%}" if column else f"{fifth[name]:,}")
        for row, fifth in enumerate(newest["calibration"] or [])
        for column, name in enumerate(columns)
    }
    days = f"within {newest['horizon_days']} days from {newest['origin_on']} on"
    title = f"Customers who ordered {days}, by fifths of the predicted probability"
    return dg.MetadataValue.md(f"{verdict}\n\n{title}\n\n{_diagram(newest)}" + grid(columns, labels, cells))


def _diagram(backtest: Mapping[str, Any]) -> str:
    """Predicted and actual shares of the fifths in one image, and what its axes are; nothing where there are none."""
    points = [(fifth["predicted"], fifth["actual"]) for fifth in backtest["calibration"] or []]
    if not points:
        return ""
    end = max(ceil(10 * max(max(point) for point in points)), 1) / 10
    image = against_diagonal("Predicted and actual shares", points, end)
    return f"{image}\n\nAcross: predicted; up: actual; 0 to {end:.0%}. On the line, both are equal.\n\n"


def _table(rows: Rows) -> dg.MetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in rows[0]])
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _formatted(value) for name, value in row.items()}) for row in rows], schema
    )


def _formatted(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


_PREVIEWS: Mapping[str, Preview] = {
    "revenue_daily": Preview(
        "last_90_days",
        """
        select tenant_id, date_day, net_sales
        from (
            select tenant_id, date_day, net_sales, max(date_day) over (partition by tenant_id) as last_day
            from marts.revenue_daily where tenant_id = any(%s)
        ) as days
        where date_day > last_day - 90 order by 1, 2
        """,
        _revenue,
    ),
    "revenue_trends": Preview(
        "last_12_months",
        """
        select tenant_id, period_start, is_partial, orders, net_sales, average_order_value, net_sales_growth
        from (
            select *, row_number() over (partition by tenant_id order by period_start desc) as age
            from marts.revenue_trends where grain = 'month' and tenant_id = any(%s)
        ) as months
        where age <= 12 order by 1, 2
        """,
        _table,
    ),
    "rfm_scores": Preview(
        "customers_by_score",
        """
        select tenant_id, recency_score, frequency_score, count(*) as customers,
            bool_and(rfm_is_meaningful) as rfm_is_meaningful
        from marts.rfm_scores where tenant_id = any(%s) group by 1, 2, 3 order by 1
        """,
        _rfm,
    ),
    "rfm_segments": Preview(
        "segments",
        """
        select tenant_id, rfm_segment, customers, net_sales, average_order_value, average_recency_days,
            rfm_is_meaningful
        from marts.rfm_segments where tenant_id = any(%s) order by tenant_id, customers desc
        """,
        _table,
    ),
    "cohort_retention": Preview(
        "retention",
        """
        select tenant_id, cohort_month, period_number, retention_rate
        from (
            select *, max(cohort_month) over (partition by tenant_id) as last_month
            from marts.cohort_retention where tenant_id = any(%s)
        ) as cohorts
        where cohort_month > last_month - interval '1 year' and period_number between 1 and 11
        order by 1
        """,
        _retention,
    ),
    "prediction_quality": Preview(
        "calibration",
        """
        select distinct on (tenant_id) tenant_id, origin_on, horizon_days, calibration, unreliable_because
        from marts.prediction_quality where tenant_id = any(%s) order by tenant_id, origin_on desc
        """,
        _calibration,
    ),
    "top_products": Preview(
        "top_10",
        """
        select tenant_id, rank, title, units, orders, net_sales
        from marts.top_products where rank <= 10 and tenant_id = any(%s) order by 1, 2
        """,
        _table,
    ),
    "tenant_overview": Preview(
        "figures",
        """
        select tenant_id, customers, orders, net_sales, average_order_value, high_value_customers,
            churn_risk_customers, rfm_is_meaningful
        from marts.tenant_overview where tenant_id = any(%s) order by 1
        """,
        _table,
    ),
}
