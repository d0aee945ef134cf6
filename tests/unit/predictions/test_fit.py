"""Fits of stores, those included for which there is nothing to fit."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from shopify_sandbox.buyers import Buyers
from shopify_sandbox.order_file.drawn import draw_file
from shopify_sandbox.spec import StoreSpec
from tests.support.order_days import order_days
from xeno_pipeline.predictions.backtest import Sales
from xeno_pipeline.predictions.fit import Fit, fit_tenant
from xeno_pipeline.predictions.order_days import date_of, days_since_epoch
from xeno_pipeline.predictions.purchases import PurchaseModel, fit_purchases
from xeno_pipeline.predictions.statistics import OrderDays

MONDAY = 20_000
SALES = defaultdict(lambda: Sales(0.9, 1000.0))

Orders = list[tuple[int, int, float]]


def _fit(orders: Orders) -> Fit:
    return fit_tenant(order_days(orders), MONDAY, SALES)


def _drawn(customers: int, days: int = 700, **parameters: float) -> Orders:
    drawn = Buyers(customers, days, **parameters).draw(seed=3)
    return [(number, MONDAY - days + day, value) for number, orders in enumerate(drawn) for day, value in orders]


def _edge_stores() -> Iterator[tuple[str, Orders]]:
    yield "nobody", []
    yield "one customer", [(1, MONDAY - 10, 5.0)]
    yield "one customer, many orders", [(1, MONDAY - each, 5.0) for each in range(1, 900)]
    yield "ten customers", _drawn(10)
    yield "one order each", [(number, MONDAY - 1 - number % 400, 9.0) for number in range(500)]
    yield "all on one day", [(number, MONDAY - 1, 9.0) for number in range(500)]
    yield "all on two days", [(number, MONDAY - each, 9.0) for number in range(500) for each in (1, 200)]
    yield "equal values", [(number, day, 7.0) for number, day, _ in _drawn(400)]
    yield "no values", [(number, day, 0.0) for number, day, _ in _drawn(400)]
    yield "negative values", [(number, day, -value) for number, day, value in _drawn(400)]
    yield "values in no currency", [(number, day, float("nan")) for number, day, _ in _drawn(400)]
    yield "huge values", [(number, day, value * 1e11) for number, day, value in _drawn(400)]
    yield "a giant", _drawn(400) + [(10_000, MONDAY - each, 1e7) for each in range(1, 1200)]


@pytest.mark.parametrize(("orders"), [pytest.param(orders, id=name) for name, orders in _edge_stores()])
def test_no_store_is_an_error(orders: Orders) -> None:
    fit = _fit(orders)
    assert fit.newest_backtest.origin == MONDAY - 90
    for curves in fit.curves:
        assert np.isfinite(curves.coefficients).all()
    if fit.model is not None:
        assert all(np.isfinite([fit.model.r, fit.model.alpha, fit.model.a, fit.model.b, fit.model.log_likelihood]))
    if fit.values is not None:
        assert all(np.isfinite([fit.values.p, fit.values.q, fit.values.v]))
    for backtest in fit.backtests:
        known = (backtest.predicted_orders, backtest.predicted_sales, backtest.auc, backtest.brier_skill)
        assert all(np.isfinite(each) for each in known if each is not None)


def test_few_repeat_customers_are_no_model() -> None:
    assert _fit(_drawn(10)).model is None
    assert _fit(_drawn(400)).model is not None


def test_the_order_of_rows_does_not_matter() -> None:
    orders = _drawn(300)
    fit = _fit(orders)
    Random(1).shuffle(orders)
    other = _fit(orders)
    assert (other.model, other.values) == (fit.model, fit.values)
    assert order_days(orders).digest == order_days(sorted(orders)).digest


def test_what_happens_later_is_not_known() -> None:
    orders = _drawn(300)
    later = [(number, MONDAY + number, 10.0) for number in range(50)]
    known = order_days(orders + later).known_before(MONDAY)
    before = order_days(orders).known_before(MONDAY)
    assert (known.repeats == before.repeats).all()
    assert (known.age == before.age).all()


@pytest.mark.parametrize("is_modified", [False, True])
def test_groups_are_as_good_as_customers(is_modified: bool) -> None:
    known = order_days(_drawn(300)).known_before(MONDAY)
    repeats, last_at, age = (column.astype(float) for column in (known.repeats, known.last_at, known.age))
    grouped = fit_purchases(*known.grouped(), is_modified=is_modified)
    single = fit_purchases(repeats, last_at, age, np.ones(known.customers), is_modified=is_modified)
    assert grouped.log_likelihood == pytest.approx(single.log_likelihood, rel=1e-12)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(grouped, name) == pytest.approx(getattr(single, name), rel=1e-4)


def test_an_older_start_finds_the_same() -> None:
    groups = order_days(_drawn(300)).known_before(MONDAY).grouped()
    fit = fit_purchases(*groups)
    start = PurchaseModel(0.1, 5.0, 3.0, 9.0, log_likelihood=0.0, is_at_bound=False)
    assert fit_purchases(*groups, start=start).log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_where_nobody_leaves_a_parameter_is_at_its_bound() -> None:
    regular = [(number, MONDAY - 1 - each, 5.0) for number in range(300) for each in range(number % 7, 600, 7)]
    fit = _fit(regular)
    assert fit.model is not None
    assert fit.model.is_at_bound


def test_seasonal_factors_take_half_a_year_of_history() -> None:
    young, old = _fit(_drawn(600, days=500)), _fit(_drawn(600, days=700))
    assert young.seasonal_factors == {}
    assert set(old.seasonal_factors) == {MONDAY, MONDAY - 90}
    assert old.seasonal_factors[MONDAY] == pytest.approx(1, abs=0.4)


@pytest.mark.thorough
def test_parameters_of_a_sandbox_store_of_fifty_thousand_customers_are_recovered(tmp_path: Path) -> None:
    buyers = Buyers(50_000, 730, r=0.8, alpha=40.0, a=0.8, b=2.5, p=6.0, q=4.0, v=15.0)
    until = datetime.combine(date_of(MONDAY), time(6), tzinfo=UTC)
    file = draw_file(StoreSpec("buyers", buyers=buyers, seed=2), tmp_path, int(until.timestamp()))
    with file.open(newline="") as lines:
        rows = [(row["customer_id"], row["ordered_at"], row["unit_price"]) for row in csv.DictReader(lines)]
    fit = _fit(
        [
            (int(customer), days_since_epoch(datetime.fromisoformat(at).date()), float(price))
            for customer, at, price in rows
        ]
    )
    assert fit.model is not None
    assert fit.values is not None
    # Their standard errors are about 3 %: other seeds are as near, most of the time.
    found = [fit.model.r, fit.model.alpha, fit.model.a, fit.model.b, fit.values.p, fit.values.q, fit.values.v]
    assert found == pytest.approx([0.8, 40.0, 0.8, 2.5, 6.0, 4.0, 15.0], rel=0.05)
    assert all(abs(backtest.orders_error or 1) < 0.05 for backtest in fit.backtests)


def test_statistics_are_those_of_the_definition() -> None:
    days = OrderDays(
        np.array([1, 1, 1, 2, 3, 3]), np.array([10, 12, 15, 14, 16, 20]), np.array([5.0, 7.0, float("nan"), 1, 2, 3])
    )
    known = days.known_before(16)
    assert known.customers == 2
    assert known.repeats.tolist() == [2, 0]
    assert known.last_at.tolist() == [5, 0]
    assert known.age.tolist() == [5, 1]
    assert known.valued.tolist() == [1, 0]
    assert known.mean_value.tolist() == [7.0, 0.0]
    assert days.orders_between(14, 17).tolist() == [1, 1, 1]
