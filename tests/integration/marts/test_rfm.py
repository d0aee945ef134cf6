"""RFM scores, against a reference of a few lines: which fifth a customer is in, and who comes first among equals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from dagster import AssetKey, TableMetadataValue
from rich.console import Console

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.defs.assets.previews import draw_previews
from xeno_pipeline.demo.tables import tenant_summary
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.bisection import Failures

TODAY = date(2026, 3, 1)
_HOURS_UNTIL_TODAY = 24 * 59


@dataclass(frozen=True)
class Buyer:
    """A customer with a counted order, as `rfm_scores` shows one."""

    customer_id: int
    recency_days: int
    frequency: int
    monetary: Decimal


def test_scores_are_fifths_with_ties_broken_as_documented(bazaar: Warehouse) -> None:
    buyers = _buyers(bazaar)
    assert _scores(bazaar) == {
        buyer.customer_id: scores
        for buyer, scores in zip(
            buyers,
            zip(
                _fifths(buyers, lambda buyer: (-buyer.recency_days, buyer.customer_id)),
                _fifths(buyers, lambda buyer: (buyer.frequency, buyer.monetary, buyer.customer_id)),
                _fifths(buyers, lambda buyer: (buyer.monetary, buyer.customer_id)),
                strict=True,
            ),
            strict=True,
        )
    }


@pytest.mark.thorough
def test_ties_kept_together_have_the_score_of_the_first_of_them(bazaar: Warehouse) -> None:
    command = ["run", "--select", "int_score_bounds", "int_customer_scores", "--vars", "rfm_ties: together"]
    assert [node.message for node in bazaar.project.invoke(command, transform_id=None) if node.failed] == []

    buyers = _buyers(bazaar)  # of today: dbt by itself knows no other day
    recency = _together(buyers, lambda buyer: -buyer.recency_days)
    frequency = _together(buyers, lambda buyer: buyer.frequency)
    monetary = _together(buyers, lambda buyer: buyer.monetary)
    assert _scores(bazaar) == {
        buyer.customer_id: (
            recency[-buyer.recency_days],
            frequency[buyer.frequency],
            monetary[buyer.monetary],
        )
        for buyer in buyers
    }
    assert frequency[1] == 1, "most customers have one order"
    bazaar.transform(as_of=TODAY, rebuild=True)


@pytest.mark.thorough
def test_scores_and_high_value_stay_those_of_all_customers_while_some_change(
    make_warehouse: Callable[[], Warehouse],
) -> None:
    """Stores of none to some dozens of customers, of often equal values, who change for some rounds of one day."""
    warehouse = make_warehouse()
    stores = [Store(f"store-{number:02}") for number in range(24)]
    warehouse.register([(store.handle, "UTC", "EUR") for store in stores])
    rng = random.Random(20261128)
    for today in (TODAY, TODAY, TODAY, TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=1)):
        for number, store in enumerate(stores):
            _trade(rng, store, most_customers=2 * number)
            store.load(warehouse)
        warehouse.transform(as_of=today)
        assert warehouse.query(_UNLIKE_NTILE) == []
        assert warehouse.query(_UNLIKE_PERCENTILE) == []
    assert warehouse.value("select count(*) from marts.rfm_scores") > 100


_UNLIKE_NTILE = """
    select tenant_id, customer_id
    from (
        select
            *,
            ntile(5) over (partition by tenant_id order by recency_days desc, customer_id) as recency_fifth,
            ntile(5) over (partition by tenant_id order by frequency, monetary, customer_id) as frequency_fifth,
            ntile(5) over (partition by tenant_id order by monetary, customer_id) as monetary_fifth
        from marts.rfm_scores
    ) scores
    where (recency_score, frequency_score, monetary_score) <> (recency_fifth, frequency_fifth, monetary_fifth)
    """


_UNLIKE_PERCENTILE = """
    select tenant_id, figures.high_value_at_least
    from intermediate.int_tenant_figures figures
    left join (
        select tenant_id, percentile_cont(0.9) within group (order by net_sales)::numeric as expected
        from intermediate.int_customers
        where orders_count > 0
        group by tenant_id
    ) customers using (tenant_id)
    where figures.high_value_at_least is distinct from expected
    """


def _trade(rng: random.Random, store: Store, most_customers: int) -> None:
    """Some things that move customers in the orders of scores: up, down, in and out."""
    for _ in range(rng.randrange(6)):
        if len(store.customers) < most_customers:
            store.add_customer()
    for _ in range(rng.randrange(8) if store.customers else 0):
        customer = rng.choice(list(store.customers))
        hour = rng.choice(
            [24 * rng.randrange(1, 59, 6), _HOURS_UNTIL_TODAY, _HOURS_UNTIL_TODAY + 24 * rng.randrange(3)]
        )
        store.place_order(customer, hour, product=None, price=rng.choice(["20.00", "40.00"]))
    if store.orders:
        order = rng.choice(list(store.orders))
        if rng.random() < 0.5:
            store.cancel(order, _HOURS_UNTIL_TODAY)
        else:
            store.refund(order, _HOURS_UNTIL_TODAY)
        store.reassign(order, rng.choice([None, *store.customers]))
        if rng.random() < 0.3:
            store.delete_order(rng.choice(list(store.orders)))


def test_newest_one_order_customers_are_new(bazaar: Warehouse) -> None:
    """Ids grow with time: ties of frequency broken by them would give the newest customers the highest score."""
    newest = _buyers(bazaar)[-1]
    assert (newest.frequency, newest.recency_days) == (1, 0)
    assert bazaar.query(
        "select rfm_cell, rfm_segment from marts.rfm_scores where customer_id = %s", newest.customer_id
    ) == [("511", "NEW_CUSTOMERS")]


@pytest.mark.parametrize("tenant", ["enough", "few", "same-day", "same-frequency", "same-sales", "nobody"])
def test_scores_of_few_or_equal_customers_are_said_to_mean_nothing(bazaar: Warehouse, tenant: str) -> None:
    is_meaningful = tenant == "enough"
    overview = "select rfm_is_meaningful from marts.tenant_overview where tenant_id = %s"
    assert bazaar.value(overview, tenant) == is_meaningful
    for mart in ("rfm_scores", "rfm_segments", "dim_customers"):
        said = bazaar.query(f"select distinct rfm_is_meaningful from marts.{mart} where tenant_id = %s", tenant)
        assert said == ([] if tenant == "nobody" and mart != "rfm_segments" else [(is_meaningful,)]), mart


@pytest.mark.parametrize(("tenant", "is_meaningful"), [("enough", True), ("few", False)])
def test_what_shows_scores_and_segments_to_people_says_so(bazaar: Warehouse, tenant: str, is_meaningful: bool) -> None:
    marts = [AssetKey(["marts", name]) for name in ("rfm_scores", "rfm_segments", "tenant_overview")]
    failures = Failures()
    drawn = draw_previews(bazaar.database, [(mart, tenant) for mart in marts], failures)
    assert not failures
    summary = StringIO()
    with bazaar.database.connect() as connection:
        Console(file=summary, width=200).print(tenant_summary(connection, registry.get(connection, tenant)))
    grid = drawn[marts[0], tenant]["customers_by_score"]
    assert ("too few" in str(grid)) != is_meaningful
    for mart, name in ((marts[1], "segments"), (marts[2], "figures")):
        table = drawn[mart, tenant][name]
        assert isinstance(table, TableMetadataValue)
        assert {row.data["rfm_is_meaningful"] for row in table.records} == {"yes" if is_meaningful else "no"}
    assert ("too few" in summary.getvalue()) != is_meaningful
    assert "Mar 2026, so far" in summary.getvalue()


@pytest.fixture(scope="module")
def bazaar(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A tenant whose customers have few different values, most of them one order, the newest of all a small one today;
    and others, whose customers must not count among the first's, with just enough of them or not.
    """
    warehouse = make_warehouse()
    warehouse.register([("bazaar", "UTC", "EUR"), ("nobody", "UTC", "EUR")])
    rng = random.Random(14)
    bazaar = Store("bazaar")
    for _ in range(47):
        customer = bazaar.add_customer()
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            hour, price = 24 * rng.randrange(1, 59, 6), rng.choice(["20.00", "40.00", "60.00"])
            bazaar.place_order(customer, hour, product=None, price=price)
    bazaar.place_order(bazaar.add_customer(), _HOURS_UNTIL_TODAY, product=None, price="5.00")
    bazaar.load(warehouse)
    _open(warehouse, "enough", buyers=25)
    _open(warehouse, "few", buyers=24)
    _open(warehouse, "same-day", buyers=25, day_of_last=None)
    _open(warehouse, "same-frequency", buyers=25, orders_of_last=1)
    _open(warehouse, "same-sales", buyers=25, price_of_last=["10.25", "10.25"])
    warehouse.transform(as_of=TODAY)
    return warehouse


def _open(
    warehouse: Warehouse,
    handle: str,
    *,
    buyers: int,
    day_of_last: int | None = 3,
    orders_of_last: int = 2,
    price_of_last: Sequence[str] = ("90.25", "90.25"),
) -> None:
    """A store whose customers have all ordered once for 20.00 at the same time, but for the last of them.

    With a `day_of_last` of None, the last ordered tomorrow and all others today: nobody is nearer than today.
    """
    warehouse.register([(handle, "UTC", "EUR")])
    store = Store(handle)
    for _ in range(buyers - 1):
        store.place_order(store.add_customer(), _HOURS_UNTIL_TODAY, product=None, price="20.25")
    last = store.add_customer()
    hour = _HOURS_UNTIL_TODAY + 24 if day_of_last is None else 24 * day_of_last
    for price in price_of_last[:orders_of_last]:
        store.place_order(last, hour, product=None, price=price)
    store.load(warehouse)


def _buyers(warehouse: Warehouse) -> list[Buyer]:
    """By id, so by the time at which they came."""
    rows = warehouse.query(
        "select customer_id, recency_days, frequency, monetary from marts.rfm_scores "
        "where tenant_id = 'bazaar' order by customer_id"
    )
    return [Buyer(*row) for row in rows]


def _scores(warehouse: Warehouse) -> dict[int, tuple[int, int, int]]:
    rows = warehouse.query(
        "select customer_id, recency_score, frequency_score, monetary_score from marts.rfm_scores "
        "where tenant_id = 'bazaar'"
    )
    return {customer_id: (recency, frequency, monetary) for customer_id, recency, frequency, monetary in rows}


def _fifths(buyers: Sequence[Buyer], order: Callable[[Buyer], Any]) -> list[int]:
    """The fifth of each buyer, the best in 5; where the number is no multiple of five, the first ones are larger."""
    size, larger = divmod(len(buyers), 5)
    numbers = [fifth for fifth in range(1, 6) for _ in range(size + (fifth <= larger))]
    ranked = sorted(buyers, key=order)
    fifths = {buyer.customer_id: fifth for buyer, fifth in zip(ranked, numbers, strict=True)}
    return [fifths[buyer.customer_id] for buyer in buyers]


def _together(buyers: Sequence[Buyer], value: Callable[[Buyer], Any]) -> dict[Any, int]:
    """By value, the fifth of the first buyer who has it."""
    found: dict[Any, int] = {}
    for buyer, fifth in zip(buyers, _fifths(buyers, lambda buyer: (value(buyer), buyer.customer_id)), strict=True):
        found[value(buyer)] = min(fifth, found.get(value(buyer), 5))
    return found
