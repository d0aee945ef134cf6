"""RFM scores, against a reference of a few lines: which fifth a customer is in, and who comes first among equals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.marts.store import Store
from tests.marts.warehouse import Warehouse

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


def test_ties_kept_together_have_the_score_of_the_first_of_them(bazaar: Warehouse) -> None:
    command = ["run", "--select", "customer_scores", "--vars", "rfm_ties: together"]
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


def test_newest_one_order_customers_are_new(bazaar: Warehouse) -> None:
    """Ids grow with time: ties of frequency broken by them would give the newest customers the highest score."""
    newest = _buyers(bazaar)[-1]
    assert (newest.frequency, newest.recency_days) == (1, 0)
    assert bazaar.query(
        "select rfm_cell, rfm_segment from marts.rfm_scores where customer_id = %s", newest.customer_id
    ) == [("511", "NEW_CUSTOMERS")]


@pytest.fixture(scope="module")
def bazaar(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """Two tenants: one whose customers have few different values, most of them one order, the newest of all a small
    one today; and another, whose customers must not count among the first's.
    """
    warehouse = make_warehouse()
    warehouse.register([("bazaar", "UTC", "EUR"), ("other", "UTC", "EUR")])
    rng = random.Random(14)
    bazaar = Store("bazaar")
    for _ in range(47):
        customer = bazaar.add_customer()
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            hour, price = 24 * rng.randrange(1, 59, 6), rng.choice(["20.00", "40.00", "60.00"])
            bazaar.place_order(customer, hour, product=None, price=price)
    bazaar.place_order(bazaar.add_customer(), _HOURS_UNTIL_TODAY, product=None, price="5.00")
    other = Store("other")
    for number in range(7):
        other.place_order(other.add_customer(), number, product=None, price="1000.00")
    for store in (bazaar, other):
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    return warehouse


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
