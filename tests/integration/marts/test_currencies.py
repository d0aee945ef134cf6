"""A shop that changed its currency: no sum is over two of them, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.monitoring.checks import CURRENCIES, Finding, evaluate
from xeno_pipeline.monitoring.doctor.checks import diagnose_figures
from xeno_pipeline.monitoring.doctor.diagnosis import State
from xeno_pipeline.settings import load_settings

pytestmark = pytest.mark.thorough

TODAY = date(2026, 2, 20)
ORDERED = Decimal("19.75")
"""What an order comes to as ordered, without tax and shipping."""
EXCLUDED = "the shop's currency is EUR, so no sum includes their amounts"


@pytest.fixture(scope="module")
def sold(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """Marts of such a shop, to look at."""
    warehouse = make_warehouse()
    _trade(warehouse)
    return warehouse


def _trade(warehouse: Warehouse) -> Store:
    """A shop that sold in dollars, and sells in euros now."""
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    product, regular = store.add_product(), store.add_customer()
    for hour, currency in ((700, "USD"), (724, "USD"), (900, "EUR"), (1000, "EUR"), (1001, "USD")):
        store.refund(store.place_order(regular, hour=hour, product=product, currencyCode=currency), hour=1100)
    for currency in ("USD", "EUR"):
        store.leave_checkout(regular, 1010, currency)
        store.fill_cart(1010, currency)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    return store


def test_an_order_in_another_currency_counts_as_an_order_and_its_money_as_nothing(sold: Warehouse) -> None:
    measures = "units, gross_sales, discounts, returns, net_sales, shipping, taxes, duties_and_fees, total_sales, tips"
    assert sold.query(
        f"select distinct {measures} from marts.fct_sales where order_id in "
        "(select order_id from marts.fct_orders where currency = 'USD')"
    ) == [(0,) * 10]
    sums = "sum(orders_count), sum(units), sum(net_sales), sum(total_sales)"
    customers = sold.query(f"select {sums} from marts.dim_customers")
    assert customers == sold.query(
        "select 5::numeric, sum(units), sum(net_sales), sum(total_sales) from marts.fct_orders where currency = 'EUR'"
    )
    for mart in ("revenue_daily", "revenue_trends where grain = 'month'"):
        assert sold.query(f"select sum(orders), sum(units), sum(net_sales), sum(total_sales) from marts.{mart}") == (
            customers
        )


def test_averages_divide_by_the_orders_whose_money_counts(sold: Warehouse) -> None:
    averages = {
        "dim_customers": [(ORDERED,)],
        "revenue_daily where orders > 0": [(None,), (None,), (ORDERED,), (ORDERED,)],
        "revenue_trends where grain = 'year'": [(ORDERED,)],
        "rfm_segments where customers > 0": [(ORDERED,)],
        "tenant_overview": [(ORDERED,)],
    }
    assert averages == {
        mart: sold.query(
            f"select average_order_value from marts.{mart} order by {'date_day' if 'daily' in mart else 1}"
        )
        for mart in averages
    }
    assert sold.query("select orders_last_30d, average_order_value_last_30d from marts.tenant_overview") == [
        (5, ORDERED)
    ]


def test_checkouts_and_carts_in_another_currency_have_no_value(sold: Warehouse) -> None:
    assert sold.query("select value from marts.abandoned_checkouts order by 1") == [(12,), (None,)]
    assert sold.query("select checkouts, value from marts.checkout_recovery_daily") == [(2, 12)]
    assert sold.query("select value from marts.abandoned_carts order by 1") == [(Decimal("1.5"),), (None,)]
    assert sold.query(
        "select event_type, count(amount), count(*) from marts.customer_timeline "
        "where event_type in ('order', 'refund', 'checkout_abandoned') group by 1 order by 1"
    ) == [("checkout_abandoned", 1, 2), ("order", 2, 5), ("refund", 2, 5)]


def test_the_check_names_the_store_the_currencies_how_many_and_the_days(sold: Warehouse) -> None:
    assert [(finding.tenant_id, finding.subject, finding.message) for finding in _findings(sold)] == [
        (
            "acme",
            "marts.abandoned_carts",
            f"1 carts are in another currency (2026-02-12 to 2026-02-12); {EXCLUDED}",
        ),
        (
            "acme",
            "marts.abandoned_checkouts",
            f"1 checkouts are in USD (2026-02-12 to 2026-02-12); {EXCLUDED}",
        ),
        (
            "acme",
            "marts.fct_orders",
            f"3 orders are in USD (2026-01-30 to 2026-02-11); {EXCLUDED}",
        ),
    ]


def test_the_doctor_says_so_too(sold: Warehouse) -> None:
    diagnoses = diagnose_figures(load_settings(), sold.database)
    assert [(diagnosis.subject, diagnosis.state) for diagnosis in diagnoses] == [("store acme", State.WARNING)] * 3
    assert diagnoses[-1].message.startswith(
        "3 orders are in USD (2026-01-30 to 2026-02-11); the shop's currency is EUR"
    )


def test_a_shop_may_change_its_currency_and_change_it_back(warehouse: Warehouse) -> None:
    acme = _trade(warehouse)
    in_euros = warehouse.marts()

    _change_currency(warehouse, "USD")
    assert _sum(warehouse) == _sum_of_orders(warehouse, "USD") != 0
    assert "2 orders are in EUR" in _findings(warehouse)[-1].message
    acme.place_order(None, hour=1100, product=None, currencyCode="USD")
    acme.load(warehouse)
    warehouse.transform(as_of=TODAY)
    in_dollars = warehouse.marts()
    warehouse.rebuild()
    assert differences(in_dollars, warehouse.marts()) == {}

    acme.delete_order(max(acme.orders))
    acme.load(warehouse)
    _change_currency(warehouse, "EUR")
    assert differences(in_euros, warehouse.marts()).keys() <= {"marts.dim_tenants", "marts.tenant_overview"}


def _change_currency(warehouse: Warehouse, currency: str) -> None:
    warehouse.execute("update ops.tenants set currency = %s", currency)
    assert warehouse.transform(as_of=TODAY).tenant_ids == ["acme"]


def _sum(warehouse: Warehouse) -> Any:
    return warehouse.value("select sum(total_sales) from marts.revenue_daily")


def _sum_of_orders(warehouse: Warehouse, currency: str) -> Any:
    return warehouse.value("select sum(total_sales) from marts.fct_orders where currency = %s", currency)


def _findings(warehouse: Warehouse) -> list[Finding]:
    with warehouse.database.connect() as connection:
        return evaluate(connection, load_settings(), CURRENCIES)
