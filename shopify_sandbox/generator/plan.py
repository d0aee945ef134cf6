"""The plan of a generated history: for every order when it happens, whose it is and what becomes of it.

A plan is a few compact arrays (some tens of bytes an order), made at once with numpy and remembered on disk;
everything else about an order is drawn from its own seed when the order is asked for. So a store of a million
orders starts in seconds and holds no object per order.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopify_sandbox.model.times import DAY, local_date, start_of_day

Instants = NDArray[np.int64]

HISTORY_DAYS = 850
GUEST_SHARE = 0.08
NEVER_BOUGHT_SHARE = 0.12
LARGE_ORDER_EVERY = 2503


class Fate(IntEnum):
    """What becomes of an order."""

    PLAIN = 0
    PARTIAL_REFUND = 1
    FULL_REFUND = 2
    SHIPPING_REFUND = 3
    RESTOCKING_FEE = 4
    TWO_REFUNDS = 5
    GOODWILL = 6
    CANCELLED_UNPAID = 7
    CANCELLED_PAID = 8
    LINE_ADDED = 9
    LINE_REMOVED = 10
    EXCHANGE = 11
    PRICE_CUT = 12
    UNPAID = 13
    AUTHORIZED = 14
    PARTIALLY_PAID = 15


_SHARES = {
    Fate.PARTIAL_REFUND: 0.050,
    Fate.FULL_REFUND: 0.028,
    Fate.SHIPPING_REFUND: 0.006,
    Fate.RESTOCKING_FEE: 0.006,
    Fate.TWO_REFUNDS: 0.008,
    Fate.GOODWILL: 0.004,
    Fate.CANCELLED_UNPAID: 0.010,
    Fate.CANCELLED_PAID: 0.018,
    Fate.LINE_ADDED: 0.008,
    Fate.LINE_REMOVED: 0.008,
    Fate.EXCHANGE: 0.008,
    Fate.PRICE_CUT: 0.006,
    Fate.UNPAID: 0.012,
    Fate.AUTHORIZED: 0.004,
    Fate.PARTIALLY_PAID: 0.003,
}
_SOON = (
    Fate.CANCELLED_UNPAID,
    Fate.CANCELLED_PAID,
    Fate.LINE_ADDED,
    Fate.LINE_REMOVED,
    Fate.PRICE_CUT,
)
"""Fates decided within two days; the others take weeks."""
_NEVER_SHIPPED = (Fate.CANCELLED_UNPAID, Fate.CANCELLED_PAID, Fate.UNPAID, Fate.AUTHORIZED)

_HOURS = np.array([12, 6, 3, 2, 2, 3, 8, 18, 30, 42, 50, 55, 58, 52, 48, 46, 48, 54, 62, 74, 80, 72, 48, 26])
_WEEKDAYS = np.array([1.0, 0.95, 0.95, 1.0, 1.05, 1.2, 1.25])
_MONTHS = np.array([0.85, 0.85, 0.95, 0.95, 1.0, 1.0, 0.9, 0.9, 1.0, 1.05, 1.5, 1.45])


class Plan:
    """The arrays of one generated store, one element an order (or customer, or checkout), by time of creation."""

    created: Instants
    processed: Instants
    updated: Instants
    fulfilled: Instants
    """0 where the order was never shipped."""
    delivered: Instants
    first_event: Instants
    second_event: Instants
    customer: NDArray[np.int32]
    """Position of the customer; -1 for guests."""
    fate: NDArray[np.int8]
    test: NDArray[np.bool_]
    customer_created: Instants
    customer_updated: Instants
    checkout_created: Instants
    checkout_updated: Instants
    checkout_order: NDArray[np.int64]
    """Position of the order a checkout became; -1 for those abandoned."""
    checkout_customer: NDArray[np.int32]

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        for name in Plan.__annotations__:
            setattr(self, name, arrays[name])

    def save(self, folder: Path) -> None:
        """Remember the plan in a folder, one file an array."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in Plan.__annotations__:
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a remembered plan into memory; processes share its pages."""
        return cls({name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in Plan.__annotations__})

    @classmethod
    def make(cls, orders: int, seed: list[int], zone: ZoneInfo, until: int) -> Self:
        """Draw a history of so many orders that ends at an instant.

        Args:
            orders: How many.
            seed: What it is drawn from; equal seeds give equal plans.
            zone: The shop's time zone, in which days, weeks and nights happen.
            until: When history ends, in seconds since 1970: nothing is dated later.
        """
        rng = np.random.default_rng(seed)
        arrays: dict[str, NDArray[Any]] = {}
        created = arrays["created"] = _moments(rng, orders, zone, until)
        _assign_customers(rng, created, until, arrays)
        _decide_fates(rng, created, until, arrays)
        _touch_customers(arrays)
        _abandon_checkouts(rng, until, arrays)
        return cls(arrays)


def _moments(rng: np.random.Generator, orders: int, zone: ZoneInfo, until: int) -> Instants:
    """Sorted instants: growth, seasons, weekdays and hours of the shop's own clock."""
    last: date = local_date(until, zone)
    days = [last - timedelta(days=back) for back in range(HISTORY_DAYS, -1, -1)]
    starts = np.array([start_of_day(day, zone) for day in [*days, last + timedelta(days=1)]], dtype=np.int64)
    weight = np.exp(np.linspace(0.0, 1.1, len(days)))
    weight *= _WEEKDAYS[[day.weekday() for day in days]] * _MONTHS[[day.month - 1 for day in days]]
    weight[-1] *= (until - starts[-2]) / (starts[-1] - starts[-2])
    day = rng.choice(len(days), size=orders, p=weight / weight.sum())
    hour = rng.choice(24, size=orders, p=_HOURS / _HOURS.sum())
    share = (hour + rng.random(orders)) / 24
    # Days end at midnight, and the first and the last second of one belong to different days.
    edge = rng.random(orders)
    share[edge < 0.002] = 0.0
    ends = np.append(starts[1:-1], until)  # of the last day there is a part only, which its orders fill
    length = (ends - starts[:-1])[day]
    moment = starts[:-1][day] + np.minimum((share * length).astype(np.int64), length - 1)
    moment[edge > 0.998] = (ends[day] - 1)[edge > 0.998]
    return np.sort(np.minimum(moment, until - 1))


def _assign_customers(rng: np.random.Generator, created: Instants, until: int, arrays: dict[str, NDArray[Any]]) -> None:
    """Each order is a guest's or a customer's; customers come, order again at a rate of their own, and stop."""
    orders = len(created)
    known = np.flatnonzero(rng.random(orders) >= GUEST_SHARE)
    by_buyer = _buyers(rng, created, until, len(known))
    _, first, buyer = np.unique(by_buyer, return_index=True, return_inverse=True)
    buyers_created = created[known[first]] - (rng.random(len(first)) ** 4 * 40 * DAY).astype(np.int64)
    idle = int(len(first) * NEVER_BOUGHT_SHARE / (1 - NEVER_BOUGHT_SHARE)) if orders else 0
    idle_created = created[rng.integers(0, orders, idle)] + 60 if idle else np.zeros(0, dtype=np.int64)
    all_created = np.minimum(np.concatenate([buyers_created, idle_created]), until - 1)
    rank = np.argsort(all_created, kind="stable")
    place = np.empty(len(rank), dtype=np.int32)
    place[rank] = np.arange(len(rank), dtype=np.int32)
    customer = np.full(orders, -1, dtype=np.int32)
    customer[known] = place[buyer]
    arrays["customer"] = customer
    arrays["customer_created"] = all_created[rank]


def _buyers(rng: np.random.Generator, created: Instants, until: int, count: int) -> NDArray[np.int64]:
    """Who placed each of so many orders, by time: numbers of customers.

    As in the BG/NBD model: a customer first orders when the shop sells, orders again after gaps that are exponential
    with a rate of the customer's own (gamma), and may be lost for good after any order (with a probability of the
    customer's own, beta). So two thirds order once, few come back often, and newcomers come until the end. Customers
    are taken until their orders are enough.
    """
    customers = count * 3 // 5 + 100  # they order nearly twice each: more than enough
    if not len(created):
        return np.zeros(0, dtype=np.int64)
    rate = rng.gamma(0.6, 1 / (0.6 * 110 * DAY), customers)
    is_lost = rng.beta(0.8, 1.0, customers)
    who = np.arange(customers)
    at = created[rng.integers(0, len(created), customers)] + rng.random(customers) * DAY
    placed_by, placed_at = [who], [at]
    while len(who):
        who, at = _where(rng.random(len(who)) >= is_lost[who], who, at)
        at = at + rng.standard_exponential(len(who)) / np.maximum(rate[who], 1e-15)
        who, at = _where(at < until, who, at)
        placed_by.append(who)
        placed_at.append(at)
    by, moment = np.concatenate(placed_by), np.concatenate(placed_at)
    enough = np.searchsorted(np.cumsum(np.bincount(by, minlength=customers)), count)
    by, moment = _where(by <= enough, by, moment)
    return by[np.argsort(moment, kind="stable")][:count]


def _where(
    chosen: NDArray[np.bool_], who: NDArray[np.int64], at: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return who[chosen], at[chosen]


def _decide_fates(rng: np.random.Generator, created: Instants, until: int, arrays: dict[str, NDArray[Any]]) -> None:
    orders = len(created)
    fates = np.array([Fate.PLAIN, *_SHARES], dtype=np.int8)
    fate = rng.choice(fates, size=orders, p=[1 - sum(_SHARES.values()), *_SHARES.values()])
    weeks = (np.minimum(rng.lognormal(2.3, 0.8, orders), 240) * DAY).astype(np.int64)
    hours = (600 + rng.random(orders) * 2 * DAY).astype(np.int64)
    first = created + np.where(np.isin(fate, _SOON), hours, weeks)
    second = first + ((10 + rng.random(orders) * 170) * DAY).astype(np.int64)
    # What would happen after the end of history has not happened yet.
    fate[(first >= until) & ~np.isin(fate, (Fate.UNPAID, Fate.AUTHORIZED, Fate.PARTIALLY_PAID))] = Fate.PLAIN
    fate[(fate == Fate.TWO_REFUNDS) & (second >= until)] = Fate.PARTIAL_REFUND
    first[np.isin(fate, (Fate.PLAIN, Fate.UNPAID, Fate.AUTHORIZED, Fate.PARTIALLY_PAID))] = 0
    second[fate != Fate.TWO_REFUNDS] = 0

    fulfilled = created + (DAY / 3 + rng.random(orders) * 3 * DAY).astype(np.int64)
    delivered = fulfilled + (DAY + rng.random(orders) * 5 * DAY).astype(np.int64)
    unshipped = np.isin(fate, _NEVER_SHIPPED) | (fulfilled >= until) | (rng.random(orders) < 0.02)
    fulfilled[unshipped] = 0
    delivered[unshipped | (delivered >= until) | (rng.random(orders) < 0.1)] = 0

    imported = rng.random(orders) < 0.003
    processed = created - np.where(imported, (1 + rng.random(orders) * 200) * DAY, 0).astype(np.int64)
    arrays |= {
        "fate": fate,
        "first_event": first,
        "second_event": second,
        "fulfilled": fulfilled,
        "delivered": delivered,
        "processed": processed,
        "test": rng.random(orders) < 0.005,
        "updated": np.maximum.reduce([created, first, second, fulfilled, delivered]),
    }


def _touch_customers(arrays: dict[str, NDArray[Any]]) -> None:
    """An order touches its customer when it is placed and when it is refunded."""
    updated = arrays["customer_created"].copy()
    bought = arrays["customer"] >= 0
    latest = np.maximum.reduce([arrays["created"], arrays["first_event"], arrays["second_event"]])
    np.maximum.at(updated, arrays["customer"][bought], latest[bought])
    arrays["customer_updated"] = updated


def _abandon_checkouts(rng: np.random.Generator, until: int, arrays: dict[str, NDArray[Any]]) -> None:
    """A checkout to every six orders; a quarter of them were completed after all."""
    orders = len(arrays["created"])
    count = orders // 6
    order = np.full(count, -1, dtype=np.int64)
    completed = np.flatnonzero(rng.random(count) < 0.25)
    order[completed] = rng.choice(orders, size=len(completed), replace=False) if orders else 0
    near = rng.integers(0, max(orders, 1), count)
    lag = (600 + rng.random(count) * DAY).astype(np.int64)
    created = np.where(order >= 0, arrays["created"][order], arrays["created"][near]) - lag if count else order
    updated = np.where(order >= 0, arrays["created"][order], created + 300) if count else order
    rank = np.argsort(created, kind="stable")
    arrays |= {
        "checkout_created": created[rank],
        "checkout_updated": np.minimum(updated[rank], until - 1),
        "checkout_order": order[rank],
        "checkout_customer": np.where(order >= 0, arrays["customer"][order], arrays["customer"][near])[rank]
        if count
        else order.astype(np.int32),
    }


def first_day(until: int) -> int:
    """An instant at the beginning of the history that ends at `until`."""
    return int((datetime.fromtimestamp(until, UTC) - timedelta(days=HISTORY_DAYS)).timestamp())
