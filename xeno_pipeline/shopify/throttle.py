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
from dataclasses import dataclass
from typing import Any

MAX_QUERY_COST = 1000.0
"""The most points that one query may cost."""

_UNKNOWN_RESTORE_RATE = 50.0
_SHORTEST_PAUSE = 0.01
_PAUSE_WHILE_CALLS_ARE_OUT = 0.05
"""Seconds; the answer of a call under way may bring points back at any moment."""


@dataclass
class Reservation:
    """Points held for one call.

    Args:
        cost: how many.
        waited: seconds until there were so many.
        answers_before: how many answers the bucket had learned from by then.
        spent: whether they count as spent once the call has ended: until it is known what became of them.
    """

    cost: float
    waited: float
    answers_before: int
    spent: bool = True


class CostBucket:
    """What is known of one shop's bucket; it errs on the low side. The threads that read the shop share it.

    Args:
        clock: seconds that only go forward.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._maximum = MAX_QUERY_COST
        self._restore_rate = _UNKNOWN_RESTORE_RATE
        self._reserved = 0.0
        self._answers = 0
        self._available = self._maximum
        self._as_of = clock()

    @contextmanager
    def reserve(self, cost: float) -> Iterator[Reservation]:
        """Hold `cost` points for the length of a call, waiting until the bucket holds them twice.

        Once for the call, and once for whoever else drinks from this bucket, another process of ours say, whose
        last sip is not known here. Points of calls under way count as spent: their answers are not in yet.

        Args:
            cost: what the call will be charged at most.
        """
        asked_at = self._clock()
        with self._turn:  # who waits for many points must not be overtaken for ever by those who need few
            reservation = self._wait_for(cost, asked_at)
        try:
            yield reservation
        finally:
            with self._lock:
                self._reserved -= reservation.cost
                if reservation.spent:
                    self._set_level(self._level() - reservation.cost)

    def learn(self, throttle_status: Mapping[str, Any], reservation: Reservation) -> None:
        """Take over the bucket's state from the `extensions.cost.throttleStatus` of the call's answer.

        An answer that another one overtook may tell of the time before that other call was charged: then the
        lower level counts.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        level, maximum, rate = (
            float(throttle_status[name]) for name in ("currentlyAvailable", "maximumAvailable", "restoreRate")
        )
        with self._lock:
            overtaken = self._answers != reservation.answers_before
            self._set_level(min(level, self._level()) if overtaken else level)
            self._maximum, self._restore_rate = max(maximum, 1.0), max(rate, 1.0)
            self._answers += 1
            reservation.spent = False

    def _wait_for(self, cost: float, asked_at: float) -> Reservation:
        while True:
            with self._lock:
                wanted = min(cost, self._maximum)
                for_others = min(wanted, self._maximum - wanted)
                lacking = wanted + for_others + self._reserved - self._level()
                if lacking <= 0:
                    self._reserved += wanted
                    return Reservation(wanted, self._clock() - asked_at, self._answers)
                pause = max(lacking / self._restore_rate, _SHORTEST_PAUSE)
                if self._reserved:
                    pause = min(pause, _PAUSE_WHILE_CALLS_ARE_OUT)
            self._sleep(pause)

    def _level(self) -> float:
        elapsed = self._clock() - self._as_of
        return min(self._maximum, self._available + elapsed * self._restore_rate)

    def _set_level(self, points: float) -> None:
        self._available = max(points, 0.0)
        self._as_of = self._clock()
