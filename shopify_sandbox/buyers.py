"""Customers who buy as a model says: when each orders, and for how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from math import isfinite
from random import Random
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Buyers:
    """A store's customers, and the parameters of the models that they are drawn from.

    How often they order is MBG/NBD (Batislam, Denizel, Filiztekin 2007): while with the store, at random with a rate of
    their own, gamma distributed (r, alpha); after each order they may leave for good, with a probability of their own,
    beta distributed (a, b). What they spend is Gamma-Gamma (Fader, Hardie 2013): values vary around a mean of their own
    (shape p), and means between customers (q, v).
    """

    customers: int
    days: int = 730
    """First orders are spread evenly over so many days, up to the end of the history."""
    r: float = 0.5
    alpha: float = 40.0
    """In days."""
    a: float = 0.9
    b: float = 1.8
    p: float = 6.0
    q: float = 4.0
    v: float = 15.0
    """In units of the currency."""

    def check(self) -> None:
        """Check that they can be drawn.

        Raises:
            ValueError: In one sentence, where a value is none.
        """
        if not 0 <= self.customers <= 5_000_000:
            raise ValueError(f"A store can have 0 to 5,000,000 buyers, not {self.customers}.")
        if not 1 <= self.days <= 10_000:
            raise ValueError(f"Buyers can have a history of 1 to 10,000 days, not {self.days}.")
        for name in ("r", "alpha", "a", "b", "p", "q", "v"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise ValueError(f"The buyers' parameter {name} is above zero, and not {value}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Buyers of what `str` makes of them; parameters may be left out.

        Raises:
            ValueError: the text is not of that form.
        """
        customers, *parameters = text.split(",")
        types = {field.name: int if field.name == "days" else float for field in fields(cls)[1:]}
        pairs = (parameter.partition("=") for parameter in parameters)
        given: dict[str, Any] = {name: types[name](value) for name, _, value in pairs}
        return cls(int(customers), **given)

    def __str__(self) -> str:
        parameters = [f"{name}={value}" for name, value in asdict(self).items() if name != "customers"]
        return ",".join([str(self.customers), *parameters])

    def draw(self, seed: int | str) -> Iterator[list[tuple[int, float]]]:
        """Of each customer, the days with an order, from 0 up to `days`, and what is spent on each."""
        random = Random(seed)  # noqa: S311
        for _ in range(self.customers):
            rate = random.gammavariate(self.r, 1 / self.alpha)
            dropout = random.betavariate(self.a, self.b)
            scale = 1 / random.gammavariate(self.q, 1 / self.v)
            first = random.randrange(self.days)
            ordered = [first]
            now = float(first)
            while random.random() >= dropout:
                now = max(now + random.expovariate(max(rate, 1e-12)), ordered[-1] + 1)  # a day has one order
                if round(now) >= self.days:
                    break
                ordered.append(round(now))
            yield [(day, random.gammavariate(self.p, scale)) for day in ordered]
