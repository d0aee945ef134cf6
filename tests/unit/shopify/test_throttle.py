"""Pacing by the cost bucket: Shopify never has to throttle a client that reads its answers."""

from __future__ import annotations

import math
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.support.fake_shop import FakeClock, cost
from xeno_pipeline.shopify.throttle import CostBucket, Reservation

SINCE = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass
class Call:
    """A call under way: reserved, then charged by Shopify, then run there, then answered."""

    context: AbstractContextManager[Reservation]
    reservation: Reservation
    requested: int
    charged: bool = False
    status: dict[str, float] | None = None


class ConcurrentCalls(RuleBasedStateMachine):
    """Calls side by side, each charged, run and answered whenever it pleases; some are never answered.

    Shopify's bucket is modelled from its documentation: what a query may cost is taken when it arrives, what it
    did not use is given back when it has run. A charge that finds too few points would be THROTTLED.
    """

    @initialize(plan=st.sampled_from([(1000, 50), (2000, 100), (4000, 200)]))
    def open_shop(self, plan: tuple[int, int]) -> None:
        self.maximum, self.rate = plan
        self.level, self.now, self.as_of = float(self.maximum), 0.0, 0.0
        self.calls: list[Call] = []
        self.bucket = CostBucket(clock=lambda: self.now, sleep=self.wait)

    @rule(requested=st.integers(1, 1000))
    def send(self, requested: int) -> None:
        context = self.bucket.reserve(requested)
        self.calls.append(Call(context, context.__enter__(), requested))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), share=st.floats(0, 1))
    def go_on(self, which: int, share: float) -> None:
        """One call gets a step further."""
        call = self.calls[which % len(self.calls)]
        if not call.charged:
            self.charge(call)
        elif call.status is None:
            self.run_at_shopify(call, share)
        else:
            self.answer(call)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99))
    def time_out(self, which: int) -> None:
        """One call gets no answer; Shopify runs it none the less, and it used all it might."""
        call = self.calls.pop(which % len(self.calls))
        if not call.charged:
            self.charge(call)
        call.context.__exit__(None, None, None)

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Time passes; while a call waits for points, those under way come to their ends."""
        self.now += seconds
        if self.calls:
            self.go_on(0, 1.0)

    def charge(self, call: Call) -> None:
        assert self.refilled() >= call.requested, "throttled"
        self.level = self.refilled() - call.requested
        self.as_of, call.charged = self.now, True

    def run_at_shopify(self, call: Call, share: float) -> None:
        self.level = min(self.maximum, self.refilled() + math.floor(call.requested * (1 - share)))
        self.as_of = self.now
        call.status = cost(available=math.floor(self.level), maximum=self.maximum, rate=self.rate)["throttleStatus"]

    def answer(self, call: Call) -> None:
        assert call.status is not None
        self.calls.remove(call)
        self.bucket.learn(call.status, call.reservation)
        call.context.__exit__(None, None, None)

    def refilled(self) -> float:
        return min(self.maximum, self.level + (self.now - self.as_of) * self.rate)

    def teardown(self) -> None:
        for call in getattr(self, "calls", []):
            call.context.__exit__(None, None, None)


ConcurrentCalls.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
TestConcurrentReservationsNeverOverdrawTheBucket = ConcurrentCalls.TestCase


def known(clock: FakeClock, **status: float) -> CostBucket:
    """A bucket that has learned from one answer."""
    bucket = CostBucket(clock, clock.sleep)
    with bucket.reserve(1) as reservation:
        bucket.learn(cost(**status)["throttleStatus"], reservation)
    return bucket


def test_a_call_waits_until_the_bucket_holds_it_and_as_much_for_others(clock: FakeClock) -> None:
    bucket = known(clock, available=100, rate=50)
    with bucket.reserve(200) as reservation:
        assert reservation.waited == pytest.approx((2 * 200 - 100) / 50)
    assert sum(clock.slept) == pytest.approx(6)


def test_a_call_that_needs_the_whole_bucket_waits_for_the_whole_bucket(clock: FakeClock) -> None:
    bucket = known(clock, available=0, maximum=1000, rate=50)
    with bucket.reserve(5_000) as reservation:
        assert reservation.waited == pytest.approx(20)


def test_the_bucket_fills_no_higher_than_its_maximum(clock: FakeClock) -> None:
    bucket = known(clock, available=900, maximum=1000, rate=100)
    clock.now += 3600
    with bucket.reserve(500), pytest.raises(Waited):
        _reserve_without_time(bucket, 300)  # 500 are out, 500 are left, 600 are wanted


def test_a_call_without_an_answer_counts_as_spent(clock: FakeClock) -> None:
    bucket = known(clock, available=1000, rate=100)
    with bucket.reserve(400):
        pass
    with bucket.reserve(400):
        assert sum(clock.slept) == pytest.approx(2)


def test_of_answers_that_overtook_each_other_the_lower_level_counts(clock: FakeClock) -> None:
    bucket = known(clock, available=1900, maximum=2000, rate=100)
    with bucket.reserve(500) as late:
        with bucket.reserve(500) as early:
            bucket.learn(cost(available=900)["throttleStatus"], early)
        bucket.learn(cost(available=1400)["throttleStatus"], late)  # told before the other call was charged
    with bucket.reserve(500):
        assert sum(clock.slept) == pytest.approx(1)


def test_who_waits_for_many_points_is_not_overtaken_by_those_who_need_few(clock: FakeClock) -> None:
    bucket = known(clock, available=30, rate=100)
    served: list[str] = []

    def reserve_little() -> None:
        with bucket.reserve(10):
            served.append("little")

    newcomer = threading.Thread(target=reserve_little)

    def sleep_while_another_comes(seconds: float) -> None:
        if newcomer.ident is None:
            newcomer.start()
            newcomer.join(0.05)  # time enough to overtake, for one that could
        clock.sleep(seconds)

    bucket._sleep = sleep_while_another_comes
    with bucket.reserve(800):
        served.append("much")
    newcomer.join(5)
    assert served == ["much", "little"]


class Waited(Exception):  # noqa: N818 - an event
    """The bucket made someone wait."""


def _reserve_without_time(bucket: CostBucket, points: float) -> None:
    def refuse(_: float) -> None:
        raise Waited

    bucket._sleep = refuse
    with bucket.reserve(points):
        pass
