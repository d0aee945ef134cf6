"""How many objects to request at once: as many as a query's cost and Shopify's time limit allow."""

from __future__ import annotations

from dataclasses import dataclass, field

from xeno_pipeline.shopify.throttle import MAX_QUERY_COST

MAX_PAGE = 250

_QUERY_BUDGET = 0.8 * MAX_QUERY_COST
_FIRST_GOOD_STREAK = 8


@dataclass
class BatchSize:
    """The size of an operation's batches, adapted to the outcome of each.

    After a time-out the size stays below the one that failed for a number of good batches. That number doubles each
    time that growing fails again. So a store that was slow for a moment is soon read fast again, and a store that is
    always slow seldom gets requests that are too large.

    Args:
        size: how many objects to request next.
        cost: the points of the last batch; None before the first.
        of: the size of that batch.
    """

    size: int
    most: int = MAX_PAGE
    cost: float | None = None
    of: int = 1
    _ceiling: int | None = field(default=None, init=False)
    _needed_streak: int = field(default=_FIRST_GOOD_STREAK, init=False)
    _good: int = field(default=0, init=False)
    _grows_again: bool = field(default=False, init=False)

    def expected_cost(self, objects: int) -> float | None:
        """The most points that a number of objects will cost: cost grows no faster than their number."""
        return None if self.cost is None else self.cost * max(1.0, objects / self.of)

    def learn(self, cost: float | None, of: int) -> None:
        """Account for a batch that succeeded.

        Args:
            cost: its points; None if the response does not state them.
            of: how many objects were requested.
        """
        self.cost, self.of = cost, of
        self._good += 1
        if self._ceiling is not None and self._good >= self._needed_streak:
            self._ceiling, self._grows_again = None, True
        affordable = int(_QUERY_BUDGET / cost * of) if cost else self.most
        self.size = max(1, min(affordable, 4 * self.size, self.most, self._ceiling or self.most))

    def shrink(self, requested: int, *, timed_out: bool) -> None:
        """Halve the size.

        Args:
            requested: how many objects were too many.
            timed_out: whether they took too long; else they cost too much.
        """
        self.size = max(1, min(self.size, requested) // 2)
        if timed_out:
            self._needed_streak *= 2 if self._grows_again else 1
            self._ceiling, self._good, self._grows_again = self.size, 0, False
