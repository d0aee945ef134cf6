"""The cost bucket of the Admin API, modelled so that a call waits before it is sent and is never throttled.

Shopify gives each app and shop a leaky bucket of points that refills at a constant rate; a query is charged
what it may cost, and gets back what it did not use.
https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MAX_QUERY_COST = 1000.0
"""The most points that one query may cost."""

_MARGIN = 1.0  # the bucket's level is told in whole points


class CostBucket:
    """What is known of one shop's bucket. May be shared by the threads that read the shop.

    Args:
        clock: seconds that only go forward.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._available = MAX_QUERY_COST
        self._maximum = MAX_QUERY_COST
        self._restore_rate = 50.0
        self._reserved = 0.0
        self._as_of = clock()

    @contextmanager
    def reserve(self, cost: float) -> Iterator[float]:
        """Hold `cost` points for the length of a call, waiting until the bucket holds them.

        Points of calls under way count as spent: their answers are not in yet.

        Yields:
            The seconds that were waited.
        """
        waited = self._wait_for(cost)
        try:
            yield waited
        finally:
            with self._lock:
                self._reserved -= min(cost, self._maximum)

    def learn(self, throttle_status: Mapping[str, Any]) -> None:
        """Take over the bucket's state from an answer's `extensions.cost.throttleStatus`."""
        with self._lock:
            self._available = float(throttle_status["currentlyAvailable"])
            self._maximum = float(throttle_status["maximumAvailable"])
            self._restore_rate = max(float(throttle_status["restoreRate"]), 1.0)
            self._as_of = self._clock()

    def empty(self) -> None:
        """Note that Shopify throttled: someone else spends from the same bucket."""
        with self._lock:
            self._available = 0.0
            self._as_of = self._clock()

    def _wait_for(self, cost: float) -> float:
        waited = 0.0
        while True:
            with self._lock:
                wanted = min(cost, self._maximum)
                goal = min(wanted + self._reserved + _MARGIN, self._maximum)
                lacking = goal - self._refilled()
                if lacking <= 0:
                    self._reserved += wanted
                    return waited
                pause = lacking / self._restore_rate
            waited += pause
            self._sleep(pause)

    def _refilled(self) -> float:
        elapsed = self._clock() - self._as_of
        return min(self._maximum, self._available + elapsed * self._restore_rate)
