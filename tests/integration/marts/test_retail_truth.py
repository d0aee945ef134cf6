"""A year of a real wholesaler's orders, against reference answers that were computed by others: every row of them.

Amounts there are rounded to the penny by order. The folder is not part of the repository: XENO_SHARED names it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif("XENO_SHARED" not in os.environ, reason="XENO_SHARED does not name the folder of the data"),
]

PENNY = Decimal("0.01")
_ROUNDED = Decimal("0.0051")
"""The reference rounds averages to the penny; ours have four decimals."""


@pytest.fixture(scope="module")
def retail(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """The store, read through the API, as of the day after its last order."""
    folder = tmp_path_factory.mktemp("retail")
    spec = StoreSpec("retail", orders_csv=_folder() / "order_lines.csv.gz", currency="GBP", plan="Enterprise")
    warehouse = make_warehouse()
    with SandboxProcess([spec], folder / "store") as sandbox:
        installation = Installation(warehouse.database, ring, folder / "spool")
        installation.sync(installation.connect(Shop(sandbox, "retail")))
    warehouse.transform(as_of=date(2011, 12, 10))
    return warehouse


def test_days(retail: Warehouse) -> None:
    ours = _by_key(
        retail,
        "select date_day::text, orders, customers, new_customers, gross_sales, average_order_value "
        "from marts.revenue_daily where orders > 0",
    )
    for row in _truth("daily"):
        orders, customers, new, sales, average = ours.pop(row["day"])
        assert (orders, customers, new) == _counts(row, "orders", "unique_customers", "new_customers"), row
        assert (sales, _near(average, row["aov"])) == (Decimal(row["revenue"]), True), row
    assert ours == {}


def test_months(retail: Warehouse) -> None:
    ours = _by_key(
        retail,
        "select to_char(period_start, 'YYYY-MM'), orders, customers, new_customers, gross_sales, average_order_value "
        "from marts.revenue_trends where grain = 'month'",
    )
    for row in _truth("monthly"):
        orders, customers, new, sales, average = ours.pop(row["month"])
        assert (orders, customers, new) == _counts(row, "orders", "unique_customers", "new_customers"), row
        assert (sales, _near(average, row["aov"])) == (Decimal(row["revenue"]), True), row
    assert ours == {}


def test_customers(retail: Warehouse) -> None:
    ours = _by_key(
        retail,
        "select customer_id::text, orders_count, days_since_last_order, gross_sales, average_order_value, "
        "(first_order_at at time zone 'UTC')::text, (last_order_at at time zone 'UTC')::text "
        "from marts.dim_customers",
    )
    for row in _truth("customers"):
        orders, recency, sales, average, first, last = ours.pop(row["customer_id"])
        assert (orders, recency) == _counts(row, "orders", "recency_days"), row
        assert (first, last) == (row["first_order_at"], row["last_order_at"]), row
        assert (sales, _near(average, row["aov"])) == (Decimal(row["revenue"]), True), row
    assert ours == {}


def test_rfm(retail: Warehouse) -> None:
    ours = _by_key(
        retail,
        "select customer_id::text, recency_days, frequency, recency_score, frequency_score, monetary_score, "
        "monetary, rfm_cell, rfm_segment from marts.rfm_scores",
    )
    for row in _truth("rfm"):
        counts = _counts(row, "recency_days", "frequency", "r_score", "f_score", "m_score")
        rest = (Decimal(row["monetary"]), row["rfm_cell"], row["segment_recommended"])
        assert ours.pop(row["customer_id"]) == (*counts, *rest), row
    assert ours == {}


def test_segments(retail: Warehouse) -> None:
    ours = _by_key(retail, "select rfm_segment, customers, orders, net_sales from marts.rfm_segments")
    for row in _truth("rfm_segment_recommended"):
        counts = _counts(row, "customers", "orders")
        assert ours.pop(row["segment_recommended"]) == (*counts, Decimal(row["revenue"])), row
    assert all(customers == 0 for customers, _, _ in ours.values())


def test_cohorts(retail: Warehouse) -> None:
    ours = _by_key(
        retail,
        "select to_char(cohort_month, 'YYYY-MM') || '+' || period_number, cohort_size, active_customers, orders, "
        "net_sales, cumulative_net_sales, retention_rate, ltv from marts.cohort_retention",
    )
    for row in _truth("cohorts"):
        size, active, orders, sales, cumulative, rate, ltv = ours.pop(f"{row['cohort_month']}+{row['months_since']}")
        assert (size, active, orders) == _counts(row, "cohort_size", "active_customers", "orders"), row
        assert (sales, cumulative) == (Decimal(row["revenue"]), Decimal(row["cumulative_revenue"])), row
        assert rate == Decimal(row["retention"]), row
        assert _near(ltv, row["ltv_per_customer"]), row
    assert ours == {}


def test_the_best_customers(retail: Warehouse) -> None:
    ours = _by_key(retail, "select rank::text, customer_id, orders_count, net_sales from marts.top_customers")
    for row in _truth("top_customers"):
        assert ours[row["rank"]] == (*_counts(row, "customer_id", "orders"), Decimal(row["revenue"])), row


def test_the_best_products(retail: Warehouse) -> None:
    ours = _by_key(retail, "select rank::text, sku, title, units, orders, gross_sales from marts.top_products")
    for row in _truth("top_products"):
        sku, title, units, orders, sales = ours[row["rank"]]
        assert (sku, title) == (row["sku"], row["title"]), row
        assert (units, orders) == _counts(row, "units", "orders"), row
        assert abs(sales - Decimal(row["revenue_exact"])) <= PENNY * orders, row


def test_everything(retail: Warehouse) -> None:
    totals = "select sum(orders), sum(gross_sales), sum(new_customers) from marts.revenue_daily"
    assert retail.query(totals) == [(18532, Decimal("8911407.9000"), 4338)]
    assert retail.query("select history_is_complete from marts.dim_tenants") == [(True,)]


def _folder() -> Path:
    return Path(os.environ["XENO_SHARED"]) / "data" / "online_retail"


def _truth(name: str) -> list[dict[str, str]]:
    with (_folder() / "truth" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def _by_key(warehouse: Warehouse, statement: str) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(row) for key, *row in warehouse.query(statement)}


def _counts(row: dict[str, str], *columns: str) -> tuple[int, ...]:
    return tuple(int(row[column]) for column in columns)


def _near(ours: Decimal, rounded: str) -> bool:
    return abs(ours - Decimal(rounded)) <= _ROUNDED
