"""The timeline: what money was given back, when, and to whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.marts.store import OPENED, Node, Store
from tests.support.marts.warehouse import Warehouse, differences

pytestmark = pytest.mark.thorough

ORDERED, REFUNDED = 1000, 1100
"""Hours."""


@pytest.fixture
def acme(warehouse: Warehouse) -> Store:
    """A store without anything."""
    warehouse.register([("acme", "Europe/Berlin", "EUR")])
    return Store("acme")


def test_every_refund_with_money_is_an_event_and_no_other(warehouse: Warehouse, acme: Store) -> None:
    regular = acme.add_customer()
    order, guests = (acme.place_order(buyer, ORDERED, product=None) for buyer in (regular, None))
    acme.edit_order(order, REFUNDED - 1, product=None)
    goods, edit = acme.refund(order, REFUNDED), acme.pay_back(order, REFUNDED, "2.25")
    goods_alone = acme.refund(order, REFUNDED, money="0.00")  # goods came back, and no money went
    acme.refund(guests, REFUNDED)
    _transform(warehouse, acme)

    assert _refunds(warehouse) == [
        (regular, f"refund/{goods}", f"Refund of #{order}", _at(REFUNDED), Decimal("-3.50")),
        (regular, f"refund/{edit}", f"Refund of #{order}", _at(REFUNDED), Decimal("-2.25")),
    ]
    assert warehouse.query("select count(*), count(distinct event_id) from marts.customer_timeline") == [(4, 4)]

    acme.orders[order]["refunds"] = [node for node in acme.orders[order]["refunds"] if str(edit) not in node["id"]]
    _node(acme, order, goods_alone)["totalRefundedSet"] = {"shopMoney": {"amount": "1.00"}}
    acme.edit_order(order, REFUNDED + 1, product=None)
    _transform(warehouse, acme)
    assert [event[1] for event in _refunds(warehouse)] == [f"refund/{goods}", f"refund/{goods_alone}"]


def test_a_refund_goes_where_its_order_goes(warehouse: Warehouse, acme: Store) -> None:
    one, another = acme.add_customer(), acme.add_customer()
    order = acme.place_order(one, ORDERED, product=None)
    refund = acme.refund(order, REFUNDED)
    _transform(warehouse, acme)
    assert [event[:2] for event in _refunds(warehouse)] == [(one, f"refund/{refund}")]

    acme.reassign(order, another)
    _transform(warehouse, acme)
    assert [event[:2] for event in _refunds(warehouse)] == [(another, f"refund/{refund}")]

    acme.mark_test(order)
    _transform(warehouse, acme)
    assert _refunds(warehouse) == []

    acme.revive(order)
    acme.orders[order]["currencyCode"] = "USD"
    _transform(warehouse, acme)
    assert [event[-1] for event in _refunds(warehouse)] == [None], "dollars are no amount in a shop of euros"


def test_a_refund_is_dated_by_the_first_of_its_dates_that_can_be(warehouse: Warehouse, acme: Store) -> None:
    regular = acme.add_customer()
    expected: dict[str, datetime] = {}
    for unknown in (None, "0001-01-01T00:00:00Z", "12026-11-01T00:00:00Z"):
        order = acme.place_order(regular, ORDERED, product=None)
        processed, created, agreed, placed = (acme.refund(order, REFUNDED + n) for n in range(4))
        for refund in (created, agreed, placed):
            _node(acme, order, refund)["processedAt"] = unknown
        for refund in (agreed, placed):
            _node(acme, order, refund)["createdAt"] = unknown
        acme.orders[order]["agreements"][-1]["happenedAt"] = unknown or "2999-01-01T00:00:00Z"
        expected |= {
            f"refund/{processed}": _at(REFUNDED),
            f"refund/{created}": _at(REFUNDED + 1),
            f"refund/{agreed}": _at(REFUNDED + 2),
            f"refund/{placed}": _at(ORDERED),
        }
    _transform(warehouse, acme)

    assert {event[1]: event[3] for event in _refunds(warehouse)} == expected


def test_a_refund_that_was_dated_too_far_ahead_is_looked_at_on_each_new_day(warehouse: Warehouse, acme: Store) -> None:
    order = acme.place_order(acme.add_customer(), ORDERED, product=None)
    refund = acme.refund(order, REFUNDED)
    _node(acme, order, refund)["processedAt"] = "12026-11-01T00:00:00Z"
    _transform(warehouse, acme)
    # A year passes: what was too far ahead is not any more.
    warehouse.execute("update raw.refunds set processed_at = %s", _at(REFUNDED + 5))
    warehouse.execute("update ops.tenant_marts set transformed_at = transformed_at - interval '1 day'")

    warehouse.transform(only_due=False)

    assert [event[3] for event in _refunds(warehouse)] == [_at(REFUNDED + 5)]
    incremental = warehouse.marts()
    warehouse.rebuild()
    assert differences(incremental, warehouse.marts()) == {}


def _transform(warehouse: Warehouse, store: Store) -> None:
    store.load(warehouse)
    warehouse.transform()


def _refunds(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "select customer_id, event_id, title, occurred_at, amount from marts.customer_timeline "
        "where event_type = 'refund' order by (regexp_match(event_id, '[0-9]+'))[1]::bigint"
    )


def _node(store: Store, order: int, refund: int) -> Node:
    (node,) = [node for node in store.orders[order]["refunds"] if node["id"].endswith(f"/{refund}")]
    return node


def _at(hour: int) -> datetime:
    return (OPENED + timedelta(hours=hour)).astimezone(UTC)
