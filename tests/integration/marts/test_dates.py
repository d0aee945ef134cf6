"""Dates that cannot be: what has one is dated by the order's creation, and nothing else is the worse for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.marts.histories import MISDATES
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, dates_out_of_bounds, differences
from xeno_pipeline.monitoring.checks import DATES, evaluate
from xeno_pipeline.settings import load_settings

pytestmark = pytest.mark.thorough

TODAY = date(2026, 6, 1)
ZONE = "Pacific/Kiritimati"
CREATED = 1000
"""The hour of the order's creation."""
CREATED_ON = date(2026, 2, 12)
LAST_LOADED = "294275-12-31T23:59:59Z"
"""In the last year that is loaded."""
TIME_OF_LOADING = {"marts.dim_tenants", "marts.tenant_overview"}
"""What tells when something was last loaded."""


@pytest.fixture
def stores(warehouse: Warehouse) -> dict[str, Store]:
    """By what their last order will be dated, stores with orders on four days, all of one customer."""
    opened = {misdate: Store(f"store-{number}") for number, misdate in enumerate((*MISDATES, LAST_LOADED))}
    for store in opened.values():
        warehouse.register([(store.handle, ZONE, "EUR")])
        product, regular = store.add_product(), store.add_customer()
        for hour in (700, 800, 900):
            store.place_order(regular, hour=hour, product=product)
        store.refund(store.place_order(regular, hour=CREATED, product=product), hour=1100)
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    return opened


@pytest.fixture
def acme(stores: dict[str, Store]) -> Store:
    """One of them."""
    return stores[MISDATES[-1]]


def test_orders_with_a_date_that_cannot_be_count_on_the_day_of_their_creation(
    warehouse: Warehouse, stores: dict[str, Store]
) -> None:
    before = warehouse.marts()
    for misdate, store in stores.items():
        store.misdate(max(store.orders), "processedAt", misdate)
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)

    assert warehouse.query(
        "select tenant_id, order_id, ordered_on from marts.fct_orders where is_redated order by 1"
    ) == [(store.handle, max(store.orders), CREATED_ON) for store in stores.values()]
    only_the_flag = {"marts.fct_orders", "marts.fct_sales"}
    assert differences(before, warehouse.marts()).keys() - TIME_OF_LOADING == only_the_flag
    assert dict(_findings(warehouse)) == {
        store.handle: "1 order(s) have a date before 1990 or more than a year ahead, and are dated by their creation "
        f"instead, for example {max(store.orders)}"
        for store in stores.values()
    }

    for store in stores.values():
        store.misdate(max(store.orders), "processedAt", store.orders[max(store.orders)]["createdAt"])
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    assert _findings(warehouse) == []
    assert differences(before, warehouse.marts()).keys() == TIME_OF_LOADING


def test_refunds_and_cancellations_that_cannot_be_are_dated_by_the_orders_creation(
    warehouse: Warehouse, stores: dict[str, Store]
) -> None:
    for misdate, store in stores.items():
        for what in ("happenedAt", "cancelledAt"):
            store.misdate(max(store.orders), what, misdate)
        store.pay_back(min(store.orders), hour=1200, money="1.00")
        store.misdate(min(store.orders), "refundedAt", misdate)
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)

    assert dates_out_of_bounds(warehouse) == []
    assert warehouse.query(
        """
        select fct_orders.is_counted, (cancelled_at at time zone %s)::date, array_agg(distinct happened_on)
        from marts.fct_orders join marts.fct_sales using (tenant_id, order_id)
        where fct_orders.is_redated group by tenant_id, fct_orders.is_counted, cancelled_at
        """,
        ZONE,
    ) == [(False, CREATED_ON, [CREATED_ON])] * len(stores)
    assert _days(warehouse) == _ledger(warehouse)
    assert warehouse.query(
        "select occurred_at = ordered_at, count(*) "
        "from marts.customer_timeline join marts.fct_orders using (tenant_id) "
        "where event_type = 'refund' and amount = -1 and order_id = %s group by 1",
        min(stores[LAST_LOADED].orders),
    ) == [(True, len(stores))]
    assert [message.partition(" have")[0] for _, message in _findings(warehouse)] == ["2 order(s)"] * len(stores)


def test_a_year_ahead_of_the_shops_own_today_is_plausible_and_a_day_more_is_not(warehouse: Warehouse) -> None:
    today = datetime.now(ZoneInfo(ZONE)).date()
    last = datetime.combine(_a_year_after(today), datetime.max.time(), ZoneInfo(ZONE)).replace(microsecond=0)
    first = datetime(1990, 1, 1, tzinfo=ZoneInfo(ZONE))
    expected = {first: False, first - timedelta(seconds=1): True, last: False, last + timedelta(seconds=1): True}
    warehouse.register([("acme", ZONE, "EUR")])
    store = Store("acme")
    placed = {at: store.place_order(None, hour=CREATED, product=None) for at in expected}
    for at, order in placed.items():
        store.misdate(order, "processedAt", at.astimezone(UTC).isoformat())
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)

    redated = dict(warehouse.query("select order_id, is_redated from marts.fct_orders"))
    assert {at: redated[order] for at, order in placed.items()} == expected
    assert warehouse.query("select min(date_day), max(date_day) from marts.revenue_daily") == [
        (first.date(), last.date())
    ]


def test_what_was_too_far_ahead_counts_on_its_own_day_as_soon_as_that_may_be(warehouse: Warehouse, acme: Store) -> None:
    order, customer = max(acme.orders), min(acme.customers)
    acme.misdate(order, "processedAt", "12026-11-01T00:00:00Z")
    acme.misdate(order, "happenedAt", "12026-11-01T00:00:00Z")
    acme.load(warehouse)
    warehouse.transform(as_of=TODAY)
    _time_passes(warehouse, acme, order)
    warehouse.transform(as_of=TODAY)
    assert warehouse.value("select count(*) from marts.fct_orders where is_redated") == 1

    warehouse.transform(as_of=TODAY + timedelta(days=1))
    incremental = warehouse.marts()

    assert warehouse.query(
        "select is_redated, ordered_on from marts.fct_orders where tenant_id = %s and order_id = %s", acme.handle, order
    ) == [(False, date(2026, 5, 1))]
    assert warehouse.value(
        "select last_order_on from marts.dim_customers where tenant_id = %s and customer_id = %s", acme.handle, customer
    ) == date(2026, 5, 1)
    warehouse.rebuild()
    assert differences(incremental, warehouse.marts()) == {}


def test_other_instants_that_cannot_be_are_bounded_too(
    warehouse: Warehouse, acme: Store, stores: dict[str, Store]
) -> None:
    """What raw may hold from before records with such clocks were set aside."""
    acme.leave_checkout(None, hour=1)
    acme.fill_cart(hour=1)
    acme.load(warehouse)
    for table in ("orders", "customers", "products", "abandoned_checkouts", "carts"):
        warehouse.execute(f"update raw.{table} set created_at = '12026-11-01Z', updated_at = '0001-01-01Z'")
    # The last second that PostgreSQL has; in a time zone east of Greenwich it has none.
    warehouse.execute("update raw.orders set processed_at = '294276-12-31 23:59:59Z'")
    warehouse.transform(as_of=TODAY, rebuild=True)

    assert dates_out_of_bounds(warehouse) == []
    assert warehouse.value("select count(*) from marts.fct_orders") == 4 * len(stores)
    assert warehouse.value("select count(*) from marts.checkout_recovery_daily") == 1
    assert _days(warehouse) == _ledger(warehouse)


def _time_passes(warehouse: Warehouse, store: Store, order: int) -> None:
    """The order's day draws near: seen from the order, what is years ahead has come, and nothing of it was loaded."""
    warehouse.execute(
        "update raw.orders set processed_at = '2026-05-01 01:00Z' where tenant_id = %s and id = %s", store.handle, order
    )
    warehouse.execute("update raw.order_agreements set happened_at = '2026-05-02Z' where happened_at > '3000-01-01'")


def _a_year_after(day: date) -> date:
    return day.replace(day=28, year=day.year + 1) if (day.month, day.day) == (2, 29) else day.replace(year=day.year + 1)


def _findings(warehouse: Warehouse) -> list[tuple[str | None, str]]:
    with warehouse.database.connect() as connection:
        return [(finding.tenant_id, finding.message) for finding in evaluate(connection, load_settings(), DATES)]


def _days(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query("select sum(net_sales), sum(total_sales), sum(units) from marts.revenue_daily")


def _ledger(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query("select sum(net_sales), sum(total_sales), sum(units) from marts.fct_sales")
