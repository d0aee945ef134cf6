"""CDNOW as a store, from a file of orders to the marts: what was published of it comes out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime, time, timedelta
from math import log
from pathlib import Path
from typing import Any

import pytest

from shopify_sandbox.order_file.reader import COLUMNS
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from tests.support import cdnow
from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.predictions.curves import make_curves
from xeno_pipeline.predictions.order_days import days_since_epoch, read_order_days
from xeno_pipeline.predictions.purchases import PurchaseModel, fit_purchases
from xeno_pipeline.predictions.statistics import OrderDays, Statistics
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough

DAYS_EARLIER = timedelta(days=1)
"""A day earlier, the 90 days after which the newest backtest begins end on a Monday. Models know ages, no dates."""

ORIGIN = cdnow.CALIBRATED_BEFORE - DAYS_EARLIER
MONDAY = ORIGIN + timedelta(days=90)


@pytest.fixture(scope="module")
def store(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """The store, read through the API, as of the day that its newest backtest predicts what the papers predict."""
    assert MONDAY.isoweekday() == 1
    folder = tmp_path_factory.mktemp("cdnow")
    _write_orders(folder / "orders.csv")
    spec = StoreSpec("cdnow", orders_csv=folder / "orders.csv", plan="Enterprise")
    warehouse = make_warehouse()
    with SandboxProcess([spec], folder / "store") as sandbox:
        installation = Installation(warehouse.database, ring, folder / "spool")
        installation.sync(installation.connect(Shop(sandbox, "cdnow")))
    report = warehouse.transform(as_of=MONDAY, refit=True)
    assert report.refitted_tenant_ids == ["cdnow"]
    return warehouse


def _write_orders(file: Path) -> None:
    with file.open("w", newline="") as output:
        rows = csv.writer(output)
        rows.writerow(COLUMNS)
        for number, (customer, day, amount) in enumerate(cdnow.orders(), 1):
            at = datetime.combine(day - DAYS_EARLIER, time(12))
            rows.writerow([number, 1, "CD", "Compact discs", 1, f"{amount:.2f}", customer, at, "US"])


@pytest.fixture(scope="module")
def days(store: Warehouse) -> OrderDays:
    with store.database.connect() as connection:
        return read_order_days(connection, "cdnow", ORIGIN + timedelta(days=cdnow.HOLDOUT_DAYS))


@pytest.fixture(scope="module")
def known(days: OrderDays) -> Statistics:
    return days.known_before(days_since_epoch(ORIGIN))


@pytest.fixture(scope="module")
def backtest(store: Warehouse) -> dict[str, Any]:
    with store.database.connect() as connection:
        cursor = connection.execute("select * from marts.prediction_quality where origin_on = %s", [ORIGIN])
        ((row,), names) = cursor.fetchall(), [column.name for column in cursor.description or ()]
    return dict(zip(names, row, strict=True))


def test_the_mart_has_the_parameters(backtest: dict[str, Any], known: Statistics) -> None:
    parameters = backtest["parameters"]
    found = [parameters["r"], parameters["alpha"] / 7, parameters["a"], parameters["b"]]
    assert found == pytest.approx([0.5248, 6.1830, 0.8914, 1.6140], rel=1e-4)
    assert parameters["log_likelihood"] + log(7) * known.repeats.sum() == pytest.approx(-9582.13, abs=0.01)
    assert [parameters["p"], parameters["q"], parameters["v"]] == pytest.approx([6.25, 3.74, 15.44], abs=0.01)
    assert parameters["value_log_likelihood"] == pytest.approx(-4055.92, abs=0.01)
    assert (backtest["customers"], backtest["repeat_customers"]) == (2357, 946)


def test_bg_nbd_of_what_the_marts_hold_is_the_published_one(days: OrderDays, known: Statistics) -> None:
    model = fit_purchases(*known.grouped(), is_modified=False)
    log_likelihood = model.log_likelihood + log(7) * known.repeats.sum()
    assert [model.r, model.alpha / 7, model.a, model.b] == pytest.approx([0.2426, 4.4136, 0.7929, 2.4259], abs=1e-4)
    assert log_likelihood == pytest.approx(-9582.43, abs=0.01)
    assert _expected(model, known, cdnow.HOLDOUT_DAYS) == pytest.approx(1653, rel=0.01)
    assert days.orders_between(days_since_epoch(ORIGIN), days_since_epoch(ORIGIN) + cdnow.HOLDOUT_DAYS).sum() == 1882


def test_the_backtest_predicts_what_the_model_does(
    backtest: dict[str, Any], days: OrderDays, known: Statistics
) -> None:
    parameters = {name: backtest["parameters"][name] for name in ("r", "alpha", "a", "b", "log_likelihood")}
    model = PurchaseModel(**parameters, is_at_bound=False)
    assert _expected(model, known, cdnow.HOLDOUT_DAYS) == pytest.approx(1577, rel=0.01)
    assert backtest["predicted_orders"] == pytest.approx(_expected(model, known, 90), rel=1e-6)
    origin = days_since_epoch(ORIGIN)
    assert backtest["actual_orders"] == days.orders_between(origin, origin + 90)[known.customer].sum()


def _expected(model: PurchaseModel, known: Statistics, horizon: int) -> float:
    curves = make_curves(model, horizon, int(known.repeats.max()), int(known.age.max()))
    return float(curves.expected(model, known.repeats, known.last_at, known.age).sum())
