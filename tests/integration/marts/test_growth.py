"""Growth compares like with like: as many days of one period as of the other, and only on a base above zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.marts.store import OPENED, Store
from tests.support.marts.warehouse import Warehouse

pytestmark = pytest.mark.thorough

TODAY = date(2026, 6, 10)

_LAST_YEAR = [
    # By grain: last year's period, a day in it, and whether that is one of as many days as the running one has had.
    ("month", date(2025, 6, 1), date(2025, 6, 10), True),
    ("month", date(2025, 6, 1), date(2025, 6, 11), False),
    ("quarter", date(2025, 4, 1), date(2025, 6, 10), True),  # the 71st day of the quarter, as 10 June 2026 is
    ("quarter", date(2025, 4, 1), date(2025, 6, 11), False),
    ("year", date(2025, 1, 1), date(2025, 6, 11), False),
    ("week", date(2025, 6, 9), date(2025, 6, 11), True),  # the Wednesday 52 weeks back
    ("week", date(2025, 6, 9), date(2025, 6, 12), False),
]

_BASES = [
    # From, to, and the growth between.
    ("50.00", "100.00", "1"),
    ("0.00", "100.00", None),
    ("-500.00", "100.00", None),
    ("-500.00", "0.00", None),
    ("0.0001", "900000000000.00", None),  # a fraction that does not fit, and so must not keep the view from being read
]


@pytest.fixture(scope="module")
def daily(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A store that sells for 10.00 each day from 1 January to 12 April 2026; another goes on to the end of April."""
    warehouse = make_warehouse()
    for handle, last in (("daily", date(2026, 4, 12)), ("ahead", date(2026, 4, 30))):
        store = _open(warehouse, handle)
        for day in range((last - OPENED.date()).days + 1):
            _sell(store, OPENED.date() + timedelta(days=day), "10.00")
        store.load(warehouse)
    return warehouse


@pytest.fixture(scope="module")
def varied(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A store for each case of last year and of a base, and one whose customers gave it nothing, as of TODAY."""
    warehouse = make_warehouse()
    for number, (_, begin, day, _) in enumerate(_LAST_YEAR):
        store = _open(warehouse, f"year-{number}")
        for sold_on, amount in ((begin, "100.00"), (day, "60.00"), (TODAY, "200.00")):
            _sell(store, sold_on, amount)
        store.load(warehouse)
    for number, (base, figure, _) in enumerate(_BASES):
        store = _open(warehouse, f"base-{number}")
        for sold_on, amount in ((date(2025, 3, 1), base), (date(2026, 2, 1), base), (date(2026, 3, 1), figure)):
            _sell(store, sold_on, amount)
        store.load(warehouse)
    store = _open(warehouse, "unloved")
    for amount in ("0.00", "0.00", "-30.00"):
        _sell(store, TODAY, amount, customer=store.add_customer())
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    return warehouse


@pytest.mark.parametrize(
    ("today", "growth"),
    [
        # 1 to 10 April beside 1 to 10 March; and the week of 6 April, five days old, beside Monday to Friday before.
        (date(2026, 4, 10), {"month": "0", "week": "0", "quarter": "0"}),
        # 30 days of March beside all that there are in February, which is 28.
        (date(2026, 3, 30), {"month": "0.071429"}),
        # On its last day a period has had all of its days: 31 beside 28, and a whole week beside another.
        (date(2026, 3, 31), {"month": "0.107143"}),
        (date(2026, 4, 12), {"week": "0"}),
    ],
)
def test_the_running_period_is_compared_with_as_many_days(
    daily: Warehouse, today: date, growth: dict[str, str]
) -> None:
    daily.transform("ahead", as_of=today)  # of which the later days are not compared, though they are in net_sales
    assert {grain: _trend(daily, "ahead", grain, today)["net_sales_growth"] for grain in growth} == {
        grain: Decimal(value) for grain, value in growth.items()
    }


def test_the_running_period_says_that_it_is_partial_and_keeps_the_whole_one_before(daily: Warehouse) -> None:
    today = date(2026, 4, 12)
    daily.transform("daily", as_of=today)

    partial = daily.query(
        "select grain, period_start from marts.revenue_trends where tenant_id = 'daily' and is_partial order by 1"
    )
    assert partial == [("month", date(2026, 4, 1)), ("quarter", date(2026, 4, 1)), ("year", date(2026, 1, 1))]
    april, march = (_trend(daily, "daily", "month", day) for day in (today, date(2026, 3, 1)))
    assert (april["net_sales"], april["net_sales_previous"], april["net_sales_previous_compared"]) == (120, 310, 120)
    assert (march["net_sales"], march["net_sales_previous"], march["net_sales_previous_compared"]) == (310, 280, 280)
    assert _trend(daily, "daily", "day", today)["net_sales_growth"] == 0


@pytest.mark.parametrize("number", range(len(_LAST_YEAR)))
def test_last_years_period_has_as_many_days_too(varied: Warehouse, number: int) -> None:
    grain, _, _, counts = _LAST_YEAR[number]
    trend = _trend(varied, f"year-{number}", grain, TODAY)
    assert trend["is_partial"]
    assert trend["net_sales_last_year_compared"] == (160 if counts else 100)
    assert trend["net_sales_yoy_growth"] == (Decimal("0.25") if counts else 1)


@pytest.mark.parametrize("number", range(len(_BASES)))
def test_growth_on_a_base_that_is_not_above_zero_or_next_to_nothing_is_none(varied: Warehouse, number: int) -> None:
    _, figure, expected = _BASES[number]
    growth = None if expected is None else Decimal(expected)
    march = _trend(varied, f"base-{number}", "month", date(2026, 3, 1))
    assert (march["net_sales_growth"], march["net_sales_yoy_growth"]) == (growth, growth)
    fallen = _trend(varied, f"base-{number}", "month", date(2026, 4, 1))
    assert fallen["net_sales_growth"] == (-1 if Decimal(figure) else None)


def test_nobody_without_a_positive_lifetime_value_is_of_high_value(varied: Warehouse) -> None:
    query = "select {} from marts.{} where tenant_id = 'unloved'"
    assert varied.query(query.format("distinct is_high_value", "dim_customers")) == [(False,)]
    assert varied.value(query.format("high_value_customers", "tenant_overview")) == 0


def test_a_share_of_less_than_nothing_is_none(varied: Warehouse) -> None:
    query = "select distinct share_of_net_sales from marts.rfm_segments where tenant_id = 'unloved'"
    assert varied.query(query) == [(None,)]


def _open(warehouse: Warehouse, handle: str) -> Store:
    warehouse.register([(handle, "UTC", "EUR")])
    return Store(handle)


def _sell(store: Store, day: date, net_sales: str, customer: int | None = None) -> None:
    """An order whose net sales are that: the store's lines bear a tax of 0.25."""
    hour = (day - OPENED.date()).days * 24 + 12
    store.place_order(customer, hour, product=None, price=str(Decimal(net_sales) + Decimal("0.25")))


def _trend(warehouse: Warehouse, tenant: str, grain: str, day: date) -> dict[str, Any]:
    """The period of a grain that a day lies in."""
    columns = (
        *("is_partial", "net_sales", "net_sales_previous", "net_sales_previous_compared", "net_sales_growth"),
        *("net_sales_last_year_compared", "net_sales_yoy_growth"),
    )
    query = f"""
        select {", ".join(columns)} from marts.revenue_trends
        where tenant_id = %s and grain = %s and period_start = date_trunc(%s, %s::timestamp)::date
        """
    ((*values,),) = warehouse.query(query, tenant, grain, grain, day)
    return dict(zip(columns, values, strict=True))
