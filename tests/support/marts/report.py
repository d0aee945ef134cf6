"""A store's sales by day or by month: as its marts have them, and as the store itself reports them."""

from __future__ import annotations

from decimal import Decimal

from shopify_sandbox.control import StoreControl
from shopify_sandbox.controls.report import MEASURES
from tests.support.marts.warehouse import Warehouse

Sales = dict[str, tuple[Decimal, ...]]
"""By period, the number of orders and the ten measures; only periods in which anything happened."""

_COLUMNS = ("orders", *MEASURES)
_PERIODS = {
    "day": "select date_day::text, {} from marts.revenue_daily where tenant_id = %s",
    "month": "select to_char(period_start, 'YYYY-MM'), {} from marts.revenue_trends "
    "where tenant_id = %s and grain = 'month'",
}


def sales_in_marts(warehouse: Warehouse, handle: str, by: str) -> Sales:
    """What the marts say."""
    rows = warehouse.query(_PERIODS[by].format(", ".join(_COLUMNS)), handle)
    return {period: tuple(figures) for period, *figures in rows if any(figures)}


def sales_reported(store: StoreControl, by: str) -> Sales:
    """What the store says, which computes it from its own ledger by another route."""
    rows = store.report("2000-01-01", "2100-01-01", by)
    sales = {row["period"]: tuple(Decimal(row[name]) for name in _COLUMNS) for row in rows}
    return {period: figures for period, figures in sales.items() if any(figures)}
