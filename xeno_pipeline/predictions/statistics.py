"""What the models are fitted on: when and for how much each customer ordered, as it was known on a day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class OrderDays:
    """A tenant's days with an order, sorted by customer, then day; each customer has each day once.

    Args:
        customer_id: whose day it is.
        day: days since 1970-01-01.
        value: sales as ordered on that day; NaN where no order of it has the shop's currency.
    """

    customer_id: Integers
    day: Integers
    value: Floats

    @cached_property
    def _starts(self) -> Integers:
        """Where each customer's days begin."""
        return np.flatnonzero(np.diff(self.customer_id, prepend=np.nan)).astype(np.int64)

    @cached_property
    def _customer(self) -> Integers:
        """The number of each row's customer, from 0."""
        lengths = np.diff(self._starts, append=self.day.size)
        return np.repeat(np.arange(self._starts.size), lengths)

    @property
    def digest(self) -> str:
        """Names the content: other rows, another digest."""
        digest = hashlib.sha256()
        for column in (self.customer_id, self.day, self.value):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:32]

    def known_before(self, origin: int) -> Statistics:
        """What was known of each customer when a day began.

        Args:
            origin: the day, in days since 1970-01-01.

        Returns:
            Statistics of the customers with an order before it.
        """
        known = self.day < origin
        customer, day, value = self._customer[known], self.day[known], self.value[known]
        days = np.bincount(customer, minlength=self._starts.size)
        buyers = np.flatnonzero(days)
        first = self.day[self._starts]
        is_repeat = (day > first[customer]) & ~np.isnan(value)
        repeats = customer[is_repeat]
        values = np.bincount(repeats, weights=value[is_repeat], minlength=self._starts.size)
        valued = np.bincount(repeats, minlength=self._starts.size)
        last = self.day[self._starts + np.maximum(days, 1) - 1]
        return Statistics(
            customer=buyers,
            repeats=days[buyers] - 1,
            last_at=(last - first)[buyers],
            age=(origin - 1 - first)[buyers],
            valued=valued[buyers],
            mean_value=np.divide(values[buyers], valued[buyers], out=np.zeros(buyers.size), where=valued[buyers] > 0),
        )

    def orders_between(self, first: int, end: int) -> Integers:
        """How many days with an order each customer has from a day up to another one, which is not among them."""
        among = (self.day >= first) & (self.day < end)
        return np.bincount(self._customer[among], minlength=self._starts.size)


@dataclass(frozen=True)
class Statistics:
    """Of each customer, all that the models ask. Times are in days since the customer's first order.

    Args:
        customer: the customer's number in the `OrderDays` that these are of.
        repeats: days with an order after the first.
        last_at: when the last of them was; 0 without.
        age: when the last known day was.
        valued: how many of the repeats have a value in the shop's currency.
        mean_value: their mean value; 0 without.
    """

    customer: Integers
    repeats: Integers
    last_at: Integers
    age: Integers
    valued: Integers
    mean_value: Floats

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self.repeats.size

    @property
    def repeat_customers(self) -> int:
        """How many of them have ordered on more than one day."""
        return int(np.count_nonzero(self.repeats))

    @property
    def history_days(self) -> int:
        """For how many days orders are known, from the first one on."""
        return int(self.age.max()) + 1 if self.age.size else 0

    def sample(self, at_most: int) -> Statistics:
        """At most so many of the customers, spread evenly over their numbers: the same ones each time."""
        step = -(-self.customers // at_most)
        if step <= 1:
            return self
        return Statistics(
            customer=self.customer[::step],
            repeats=self.repeats[::step],
            last_at=self.last_at[::step],
            age=self.age[::step],
            valued=self.valued[::step],
            mean_value=self.mean_value[::step],
        )

    def grouped(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The distinct triples of repeats, last_at and age, sorted, and how many customers have each.

        Equal customers have equal likelihoods, so the sums over groups are those over customers, and do not depend on
        the order of the rows.
        """
        base = int(self.age.max()) + 1
        keys, weights = np.unique((self.repeats * base + self.last_at) * base + self.age, return_counts=True)
        rest, age = np.divmod(keys, base)
        repeats, last_at = np.divmod(rest, base)
        return repeats.astype(float), last_at.astype(float), age.astype(float), weights.astype(float)
