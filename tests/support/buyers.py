"""Customers who buy as the model of predictions says: when each orders, and for how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Buyers:
    """Parameters of MBG/NBD, with time in days, and of Gamma-Gamma."""

    r: float = 0.5
    alpha: float = 40.0
    a: float = 0.9
    b: float = 1.8
    p: float = 6.0
    q: float = 4.0
    v: float = 15.0

    def draw(self, customers: int, days: int, seed: int) -> Iterator[list[tuple[int, float]]]:
        """Of each customer, the days with an order, from 0 up to `days`, and what is spent on each.

        First orders are spread evenly.
        """
        random = Random(seed)
        for _ in range(customers):
            rate = random.gammavariate(self.r, 1 / self.alpha)
            dropout = random.betavariate(self.a, self.b)
            scale = 1 / random.gammavariate(self.q, 1 / self.v)
            first = random.randrange(days)
            ordered = [first]
            now = float(first)
            while random.random() >= dropout:
                now = max(now + random.expovariate(max(rate, 1e-12)), ordered[-1] + 1)  # a day has one order
                if round(now) >= days:
                    break
                ordered.append(round(now))
            yield [(day, random.gammavariate(self.p, scale)) for day in ordered]
