"""The API over a year of a real wholesaler's orders, against reference answers that were computed by others.

The folder is not part of the repository: XENO_SHARED names it. The marts are compared in tests/integration/marts.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from tests.support.insights import Api, api_over
from tests.support.installation import Installation, Shop
from tests.support.serving import key_for
from xeno_pipeline.tenants.credentials import KeyRing

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.thorough,
    pytest.mark.skipif("XENO_SHARED" not in os.environ, reason="XENO_SHARED does not name the folder of the data"),
]

_ROUNDED = Decimal("0.0051")
"""The reference rounds averages to the penny; ours have four decimals."""

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def retail(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, str]]:
    """An API over the store, as of the day after its last order, and a key."""
    folder = tmp_path_factory.mktemp("retail")
    spec = StoreSpec("retail", orders_csv=_folder() / "order_lines.csv.gz", currency="GBP", plan="Enterprise")
    warehouse = make_warehouse()
    with SandboxProcess([spec], folder / "store") as sandbox:
        installation = Installation(warehouse.database, ring, folder / "spool")
        installation.sync(installation.connect(Shop(sandbox, "retail")))
    warehouse.transform(as_of=date(2011, 12, 10))
    with api_over(warehouse.database) as api:
        yield api, key_for(warehouse.database, None)


@pytest.fixture
def ask(retail: tuple[Api, str]) -> Ask:
    """The data of an answer about the store."""
    api, key = retail

    def get(path: str, **parameters: Any) -> Any:
        answer = api.get(f"/stores/retail/{path}", key, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    return get


def test_everything(ask: Ask) -> None:
    told = ask("overview?from=2010-12-01&to=2011-12-09")["current"]
    assert (told["orders"], told["customers"], told["new_customers"]) == (18532, 4338, 4338)
    assert told["gross_sales"] == "8911407.9000"


def test_months(ask: Ask) -> None:
    periods = {row["period_start"]: row for row in ask("sales?grain=month&from=2010-12-01&to=2011-12-09")["data"]}
    truth = _truth("monthly")
    for row in truth:
        told = periods[f"{row['month']}-01"]
        between = ask("overview", **{"from": told["period_start"], "to": told["period_end"]})["current"]
        for each in (told, between):
            assert each["orders"] == int(row["orders"]), row
            assert each["customers"] == int(row["unique_customers"]), row
            assert each["new_customers"] == int(row["new_customers"]), row
            assert Decimal(each["gross_sales"]) == Decimal(row["revenue"]), row
            assert abs(Decimal(each["average_order_value"]) - Decimal(row["aov"])) <= _ROUNDED, row
    assert len(truth) == 13


def test_segments(ask: Ask) -> None:
    told = {segment["rfm_segment"]: segment for segment in ask("rfm")["segments"]}
    for row in _truth("rfm_segment_recommended"):
        segment = told[row["segment_recommended"]]
        assert (segment["customers"], segment["orders"]) == (int(row["customers"]), int(row["orders"])), row
        assert Decimal(segment["net_sales"]) == Decimal(row["revenue"]), row


def test_cohorts(ask: Ask) -> None:
    told = {cohort["cohort_month"]: cohort for cohort in ask("cohorts", measure="retention")["cohorts"]}
    sales = {cohort["cohort_month"]: cohort for cohort in ask("cohorts", measure="net_sales")["cohorts"]}
    for row in _truth("cohorts"):
        month, number = f"{row['cohort_month']}-01", int(row["months_since"])
        assert told[month]["cohort_size"] == int(row["cohort_size"]), row
        assert Decimal(told[month]["values"][number]) == Decimal(row["retention"]), row
        assert Decimal(sales[month]["values"][number]) == Decimal(row["revenue"]), row


def test_the_best_customers(ask: Ask) -> None:
    told = {row["rank"]: row for row in ask("customers/top", limit=100)}
    for row in _truth("top_customers"):
        customer = told[int(row["rank"])]
        assert (customer["customer_id"], customer["orders_count"]) == (int(row["customer_id"]), int(row["orders"]))
        assert Decimal(customer["net_sales"]) == Decimal(row["revenue"]), row


def _folder() -> Path:
    return Path(os.environ["XENO_SHARED"]) / "data" / "online_retail"


def _truth(name: str) -> list[dict[str, str]]:
    with (_folder() / "truth" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))
