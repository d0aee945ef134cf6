"""Stores whose customers' orders are drawn from a model."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from shopify_sandbox.__main__ import stores
from shopify_sandbox.buyers import Buyers
from shopify_sandbox.process import arguments
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.tests.client import LocalClient, opened

UNTIL = datetime(2026, 6, 30, 7, tzinfo=UTC)
BUYERS = Buyers(50, 200, r=1.0, alpha=20.0)


def _orders(client: LocalClient) -> list[tuple[str, str, Decimal]]:
    """Customer, time and amount of each order."""
    documents = [client.store.document("Order", row) for row in range(len(client.store.tables["Order"].alive))]
    return [
        (each["customer"]["id"], each["processedAt"], Decimal(each["totalPriceSet"]["shopMoney"]["amount"]))
        for each in documents
    ]


def test_each_day_of_a_customer_is_an_order(tmp_path: Path) -> None:
    with opened(tmp_path, "drawn", buyers=BUYERS, until=UNTIL) as client:
        orders = _orders(client)
    drawn = [order for orders in BUYERS.draw("drawn/0") for order in orders]
    assert len(orders) == len(drawn) > 60
    assert sum(amount for _, _, amount in orders) == sum(Decimal(f"{value:.2f}") for _, value in drawn)
    assert len({customer for customer, _, _ in orders}) == 50
    assert len({(customer, at[:10]) for customer, at, _ in orders}) == len(orders)
    assert max(at for _, at, _ in orders) < "2026-06-30"
    assert min(at for _, at, _ in orders) >= "2025-12-12"


def test_a_store_is_drawn_once(tmp_path: Path) -> None:
    """Without an end of its history it ends when it is first started, whenever it is started again."""
    found = []
    for _ in range(2):
        with opened(tmp_path, "drawn", buyers=BUYERS) as client:
            found.append(_orders(client))
    assert found[0] == found[1]
    with opened(tmp_path / "other", "drawn", buyers=BUYERS, seed=1) as client:
        assert len(_orders(client)) != len(found[0])


def test_options_of_the_command_line_make_the_same_store() -> None:
    spec = StoreSpec("drawn", buyers=BUYERS, seed=3)
    options = arguments([spec])
    found = {name.removeprefix("--"): [value] for name, value in zip(options[::2], options[1::2], strict=True)}
    assert stores(**found) == [spec]
    assert stores(buyers=["a=5000,r=0.6"]) == [StoreSpec("a", buyers=Buyers(5000, r=0.6))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a=many", "not of the form"),
        ("a=5,r", "not of the form"),
        ("a=5,size=3", "not of the form"),
        ("a=5,customers=3", "not of the form"),
        ("a=-1", "0 to 5,000,000"),
        ("a=5,days=0", "1 to 10,000 days"),
        ("a=5,alpha=0", "alpha is above zero"),
        ("a=5,q=nan", "q is above zero"),
    ],
)
def test_what_cannot_be_drawn_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        stores(buyers=[text])
