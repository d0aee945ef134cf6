"""How many objects to ask for at once: as many as the cost of a query and Shopify's patience with it allow."""

from __future__ import annotations

from dataclasses import dataclass, field

from xeno_pipeline.shopify.throttle import MAX_QUERY_COST

MAX_PAGE = 250

_QUERY_BUDGET = 0.8 * MAX_QUERY_COST
_FIRST_TRUCE = 8


@dataclass
class BatchSize:
    """The size of an operation's batches, which follows what comes of them.

    A size that was too large is left alone for some batches, which are ever more each time that growing fails again: a
    store that was slow for a moment is read fast again soon, one that is always slow is asked for too much seldom.

    Args:
        size: how many objects to ask for next.
        most: how many to ask for at most.
        cost: what the last batch was charged in points; None before the first.
        of: the size of that batch.
    """

    size: int
    most: int = MAX_PAGE
    cost: float | None = None
    of: int = 1
    _ceiling: int | None = field(default=None, init=False)
    _truce: int = field(default=_FIRST_TRUCE, init=False)
    _good: int = field(default=0, init=False)
    _grows_again: bool = field(default=False, init=False)

    def expected_cost(self, objects: int) -> float | None:
        """The points that so many objects will be charged at most: cost grows no faster than their number."""
        return None if self.cost is None else self.cost * max(1.0, objects / self.of)

    def learn(self, cost: float | None, of: int) -> None:
        """Take a batch that came into account.

        Args:
            cost: what it was charged; None where the answer does not tell it.
            of: how many objects were asked for.
        """
        self.cost, self.of = cost, of
        self._good += 1
        if self._ceiling is not None and self._good >= self._truce:
            self._ceiling, self._grows_again = None, True
        affordable = int(_QUERY_BUDGET / cost * of) if cost else self.most
        self.size = max(1, min(affordable, 4 * self.size, self.most, self._ceiling or self.most))

    def shrink(self, asked: int, *, timed_out: bool) -> None:
        """Ask for half as many next.

        Args:
            asked: how many were too many.
            timed_out: because they took too long; else for their cost, which tells by itself how many are not.
        """
        self.size = max(1, min(self.size, asked) // 2)
        if timed_out:
            self._truce *= 2 if self._grows_again else 1
            self._ceiling, self._good, self._grows_again = self.size, 0, False
