"""What the dashboard shows: charts over marts, and the metrics that they and others are made of.

Metrics that are ratios are computed from sums, so that they are right for any span of days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xeno_pipeline.exports.superset.assets import Chart, Metric

_COUNT = Metric("rows", "COUNT(*)", "Rows")
_MONEY = ",.2f"
_SHARE = ".1%"


def _sum(column: str, title: str) -> Metric:
    return Metric(f"total_{column}", f"SUM({column})", title)


def _sum_of_money(column: str, title: str) -> Metric:
    return Metric(f"total_{column}", f"SUM({column})", title, _MONEY, is_money=True)


_SALES = (
    _sum("units", "Units"),
    _sum_of_money("gross_sales", "Gross sales"),
    _sum_of_money("discounts", "Discounts"),
    _sum_of_money("returns", "Returns"),
    _sum_of_money("net_sales", "Net sales"),
)
_TOTALS = (
    *_SALES,
    _sum_of_money("shipping", "Shipping"),
    _sum_of_money("taxes", "Taxes"),
    _sum_of_money("duties_and_fees", "Duties and fees"),
    _sum_of_money("total_sales", "Total sales"),
    _sum_of_money("tips", "Tips"),
)

METRICS: Mapping[str, Sequence[Metric]] = {
    "revenue_daily": (*_TOTALS, _sum("orders", "Orders"), _sum("new_customers", "New customers")),
    "fct_orders": (
        *_TOTALS,
        Metric("orders", "COUNT(*) FILTER (WHERE is_counted)", "Orders"),
        Metric("customers", "COUNT(DISTINCT customer_id) FILTER (WHERE is_counted)", "Customers"),
        Metric(
            "average_order_value",
            "SUM(ordered_sales) FILTER (WHERE is_counted)"
            " / NULLIF(COUNT(*) FILTER (WHERE is_counted AND NOT is_in_other_currency), 0)",
            "Average order value",
            _MONEY,
            is_money=True,
        ),
    ),
    "fct_sales": _TOTALS,
    "product_performance": (*_SALES, _sum("orders", "Orders")),
    "top_products": (_sum("units", "Units"), _sum_of_money("net_sales", "Net sales")),
    "dim_customers": (Metric("customers", "COUNT(*)", "Customers"), _sum_of_money("net_sales", "Net sales")),
    "rfm_scores": (Metric("customers", "COUNT(*)", "Customers"), _sum_of_money("monetary", "Net sales")),
    "rfm_segments": (_sum("customers", "Customers"), _sum_of_money("net_sales", "Net sales")),
    "cohort_retention": (
        Metric("retention", "SUM(active_customers)::numeric / NULLIF(SUM(cohort_size), 0)", "Retention", _SHARE),
        _sum_of_money("net_sales", "Net sales"),
    ),
    "checkout_recovery_daily": (
        _sum("checkouts", "Checkouts"),
        _sum_of_money("value", "Value"),
        _sum_of_money("recovered_value", "Recovered value"),
        Metric("recovery", "SUM(recovered)::numeric / NULLIF(SUM(checkouts), 0)", "Recovery rate", _SHARE),
    ),
}
"""The metrics of marts besides the number of rows."""


def metrics_of(mart: str) -> Sequence[Metric]:
    """The metrics of a mart."""
    return (_COUNT, *METRICS.get(mart, ()))


def _any_days(column: str) -> dict[str, Any]:
    """What lets the dashboard's filter for days have an effect on a chart."""
    return {
        "adhoc_filters": [
            {
                "clause": "WHERE",
                "subject": column,
                "operator": "TEMPORAL_RANGE",
                "comparator": "No filter",
                "expressionType": "SIMPLE",
            }
        ]
    }


def _figure(title: str, mart: str, metric: str, column: str) -> Chart:
    return Chart(title, mart, "big_number_total", 3, 18, {"metric": metric, **_any_days(column)})


def _by_day(title: str, mart: str, metrics: Sequence[str]) -> Chart:
    parameters = {
        "x_axis": "date_day",
        "time_grain_sqla": "P1D",
        "metrics": list(metrics),
        "row_limit": 10_000,
        "show_legend": len(metrics) > 1,
        "rich_tooltip": True,
        **_any_days("date_day"),
    }
    return Chart(title, mart, "echarts_timeseries_bar", 12, 44, parameters)


def _grid(title: str, mart: str, x_axis: str, y_axis: str, metric: str, y_order: str) -> Chart:
    parameters = {
        "x_axis": x_axis,
        "groupby": y_axis,
        "metric": metric,
        "show_values": metric != "retention",  # of which there are too many to read
        "normalize_across": "heatmap",
        "linear_color_scheme": "schemeBlues",
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": y_order,
        "legend_type": "continuous",
        "value_bounds": [None, None],
        "y_axis_format": "SMART_NUMBER" if metric != "retention" else _SHARE,
        "row_limit": 10_000,
        "bottom_margin": "auto",
        "left_margin": "auto",
    }
    return Chart(title, mart, "heatmap_v2", 6, 60, parameters)


def _table(title: str, mart: str, columns: Sequence[str], metrics: Sequence[str], rows: int) -> Chart:
    parameters = {
        "query_mode": "aggregate",
        "groupby": list(columns),
        "metrics": list(metrics),
        "timeseries_limit_metric": metrics[-1],
        "order_desc": True,
        "row_limit": rows,
        "show_cell_bars": True,
    }
    return Chart(title, mart, "table", 6, 60, parameters)


ROWS: Sequence[Sequence[Chart]] = (
    (
        _figure("Net sales", "revenue_daily", "total_net_sales", "date_day"),
        _figure("Orders", "fct_orders", "orders", "ordered_on"),
        _figure("Average order value", "fct_orders", "average_order_value", "ordered_on"),
        _figure("Customers", "fct_orders", "customers", "ordered_on"),
    ),
    (_by_day("Net sales by day", "revenue_daily", ["total_net_sales"]),),
    (
        _grid("Recency and frequency", "rfm_scores", "frequency_score", "recency_score", "customers", "alpha_asc"),
        _table("RFM segments", "rfm_segments", ["rfm_segment"], ["total_customers", "total_net_sales"], 20),
    ),
    (
        _grid("Retention by cohort", "cohort_retention", "period_number", "cohort_month", "retention", "alpha_desc"),
        _table("Best products", "top_products", ["title", "sku"], ["total_units", "total_net_sales"], 1_000),
    ),
    (_by_day("Abandoned checkouts by day", "checkout_recovery_daily", ["total_value", "total_recovered_value"]),),
)
"""The rows of the dashboard."""
