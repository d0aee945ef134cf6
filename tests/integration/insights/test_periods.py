"""Figures of any days equal what the rows of orders and sales say, computed here by hand."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights import figures
from xeno_pipeline.insights.figures import MEASURES, Figures
from xeno_pipeline.insights.model import growth
from xeno_pipeline.insights.overview import overview
from xeno_pipeline.insights.periods import FIRST_DAY, LAST_DAY, UnusablePeriodError
from xeno_pipeline.insights.sales import GRAINS, Grain, sales
from xeno_pipeline.insights.stores import NotModelledError, get_store

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

RANGES = 200
_FOUR = Decimal("0.0001")

Row = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """Every order and every sale of a store."""

    orders: Sequence[Row]
    sales: Sequence[Row]

    def figures(self, first: date, last: date) -> Figures:
        """The figures of some days, from the rows."""
        orders = [row for row in self.orders if row["is_counted"] and first <= row["ordered_on"] <= last]
        sold = [row for row in self.sales if first <= row["happened_on"] <= last]
        buyers = {row["customer_id"] for row in orders} - {None}
        new = sum(row["customer_order_number"] == 1 for row in orders)
        placed: dict[int, Decimal] = defaultdict(Decimal)
        for row in self.sales:
            if row["reason"] == "ORDER":
                placed[row["order_id"]] += row["gross_sales"] + row["discounts"]
        value = sum((placed[row["order_id"]] for row in orders), Decimal(0))
        return Figures(
            **{name: sum((row[name] for row in sold), 0) for name in MEASURES},
            orders=len(orders),
            customers=len(buyers),
            new_customers=new,
            returning_customers=len(buyers) - new,
            average_order_value=(value / len(orders)).quantize(_FOUR, rounding="ROUND_HALF_UP") if orders else None,
        )


def rows(connection: Connection, query: str) -> list[Row]:
    return connection.cursor(row_factory=dict_row).execute(query).fetchall()


@pytest.fixture(scope="module")
def facts(marts: Warehouse) -> Facts:
    with marts.database.connect() as connection:
        return Facts(
            rows(connection, "select * from marts.fct_orders where tenant_id = 'depot'"),
            rows(connection, "select * from marts.fct_sales where tenant_id = 'depot'"),
        )


def ranges(facts: Facts, count: int) -> Iterable[tuple[date, date]]:
    """Days drawn at random, some of them before the first order or after the last."""
    chance = random.Random(2026)
    days = [row["ordered_on"] for row in facts.orders]
    first, last = min(days) - timedelta(40), max(days) + timedelta(40)
    for _ in range(count):
        one, other = sorted(chance.randint(0, (last - first).days) for _ in range(2))
        yield first + timedelta(one), first + timedelta(other)


@pytest.mark.parametrize("many_orders", [figures.MANY_ORDERS, 0], ids=["few orders", "many orders"])
def test_the_overview_of_random_days(
    connection: Connection, facts: Facts, monkeypatch: pytest.MonkeyPatch, many_orders: int
) -> None:
    monkeypatch.setattr(figures, "MANY_ORDERS", many_orders)
    for first, last in ranges(facts, RANGES):
        told = overview(connection, "depot", first, last)
        length = last - first + timedelta(1)
        assert told.current == facts.figures(first, last), (first, last)
        assert told.previous == facts.figures(first - length, first - timedelta(1)), (first, last)
        assert (told.previous_period.first, told.previous_period.last) == (first - length, first - timedelta(1))
        assert told.growth.net_sales == growth(told.current.net_sales, told.previous.net_sales)
    assert any(row["returns"] for row in facts.sales)


def test_sales_of_random_days(connection: Connection, facts: Facts) -> None:
    begun = min(row["happened_on"] for row in facts.sales)
    today = overview(connection, "depot").as_of_date
    whole = {
        grain: {each.period_start: each for each in sales(connection, "depot", grain, FIRST_DAY, LAST_DAY).data}
        for grain in GRAINS
    }
    cut = 0
    for number, (first, last) in enumerate(ranges(facts, RANGES)):
        grain: Grain = GRAINS[number % len(GRAINS)]
        for period in sales(connection, "depot", grain, first, last).data:
            begin, end = max(first, period.period_start), min(last, period.period_end)
            is_cut = begin > max(period.period_start, begun) or end < min(period.period_end, today)
            assert period.is_cut == is_cut, (grain, first, last, period)
            if is_cut:
                cut += 1
                assert Figures(**period.model_dump(include=set(Figures.model_fields))) == facts.figures(begin, end)
            else:
                assert period == whole[grain][period.period_start]
    assert cut > 50


def test_sales_of_everything_are_the_mart(connection: Connection) -> None:
    for grain in GRAINS:
        told = sales(connection, "depot", grain, FIRST_DAY, LAST_DAY)
        query = f"select * from revenue_trends where tenant_id = 'depot' and grain = '{grain}' order by period_start"
        marts = rows(connection, query)
        assert [
            {name: value for name, value in row.items() if name in type(told.data[0]).model_fields} for row in marts
        ] == [period.model_dump(exclude={"period_end", "is_cut"}) for period in told.data]
        assert not any(period.is_cut for period in told.data)


def test_without_days_it_is_the_last_thirty_of_the_mart(connection: Connection) -> None:
    told = overview(connection, "depot")
    ((mart,),) = [rows(connection, "select * from tenant_overview where tenant_id = 'depot'")]
    for name in ("customers", "orders", "net_sales", "average_order_value"):
        assert getattr(told.current, name) == mart[f"{name}_last_30d"]
        assert getattr(told.previous, name) == mart[f"{name}_previous_30d"]
        assert getattr(told.all_time, name) == mart[name]


def test_a_store_without_orders(connection: Connection) -> None:
    told = overview(connection, "void")
    assert (told.current.orders, told.current.net_sales, told.growth.net_sales) == (0, 0, None)
    assert sales(connection, "void").data == []


def test_a_store_without_marts(connection: Connection) -> None:
    with pytest.raises(NotModelledError, match="wait for its first sync"):
        overview(connection, "unheard-of")
    assert get_store(connection, "unheard-of").made_at is None


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 2, 1), date(2026, 1, 31)),
        (date.min, date(2026, 1, 1)),
        (date(2026, 1, 1), date.max),
        (date.min, date.max),
    ],
)
def test_days_that_are_no_period(connection: Connection, first: date, last: date) -> None:
    with pytest.raises(UnusablePeriodError):
        overview(connection, "depot", first, last)
