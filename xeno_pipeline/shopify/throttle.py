"""The cost bucket of the Admin API, modelled here so that a call waits before it is sent and is never throttled.

Shopify gives each app and shop a leaky bucket of points that refills at a constant rate. A query is charged its
highest possible cost, and gets back what it did not use.
https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MAX_QUERY_COST = 1000.0
"""The most points that one query may cost."""

_UNKNOWN_RESTORE_RATE = 50.0
_SHORTEST_PAUSE = 0.01
_PAUSE_DURING_CALLS = 0.05
"""Seconds. The response of a call in flight may return points at any moment."""


@dataclass
class Reservation:
    """Points held for one call.

    Args:
        waited: seconds until there were enough points.
        responses_seen: how many responses the bucket had learned from by then.
        is_charged: whether the points count as spent after the call. True until the caller knows better.
    """

    cost: float
    waited: float
    responses_seen: int
    is_charged: bool = True


class CostBucket:
    """A low estimate of one shop's bucket, shared by all threads that read the shop.

    Args:
        clock: seconds that only increase.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._queue = threading.Lock()
        self._lock = threading.Lock()
        self._maximum = MAX_QUERY_COST
        self._restore_rate = _UNKNOWN_RESTORE_RATE
        self._reserved = 0.0
        self._responses = 0
        self._available = self._maximum
        self._as_of = clock()

    @contextmanager
    def reserve(self, cost: float) -> Iterator[Reservation]:
        """Hold points for the length of a call, after waiting until the bucket has twice as many.

        The second half stays in reserve for other processes that share this shop's bucket. The points of calls in
        flight count as spent.

        Args:
            cost: the most points that the call will be charged.
        """
        requested_at = self._clock()
        with self._queue:  # first come, first served: a costly call must not be overtaken forever by cheap ones
            reservation = self._wait_for(cost, requested_at)
        try:
            yield reservation
        finally:
            with self._lock:
                self._reserved -= reservation.cost
                if reservation.is_charged:
                    self._set_level(self._level() - reservation.cost)

    def learn(self, throttle_status: Mapping[str, Any], reservation: Reservation) -> None:
        """Adopt the bucket's state from the `extensions.cost.throttleStatus` of the call's response.

        A response that another one has overtaken may predate the other call's charge: then the lower level counts.

        Raises:
            KeyError, TypeError, ValueError: it is no throttle status.
        """
        level, maximum, rate = (
            float(throttle_status[name]) for name in ("currentlyAvailable", "maximumAvailable", "restoreRate")
        )
        with self._lock:
            is_overtaken = self._responses != reservation.responses_seen
            self._set_level(min(level, self._level()) if is_overtaken else level)
            self._maximum, self._restore_rate = max(maximum, 1.0), max(rate, 1.0)
            self._responses += 1
            reservation.is_charged = False

    def _wait_for(self, cost: float, requested_at: float) -> Reservation:
        while True:
            with self._lock:
                wanted = min(cost, self._maximum)
                reserve = min(wanted, self._maximum - wanted)
                lacking = wanted + reserve + self._reserved - self._level()
                if lacking <= 0:
                    self._reserved += wanted
                    return Reservation(wanted, self._clock() - requested_at, self._responses)
                pause = max(lacking / self._restore_rate, _SHORTEST_PAUSE)
                if self._reserved:
                    pause = min(pause, _PAUSE_DURING_CALLS)
            self._sleep(pause)

    def _level(self) -> float:
        elapsed = self._clock() - self._as_of
        return min(self._maximum, self._available + elapsed * self._restore_rate)

    def _set_level(self, points: float) -> None:
        self._available = max(points, 0.0)
        self._as_of = self._clock()
