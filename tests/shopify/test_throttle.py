"""Pacing by the cost bucket: Shopify never has to throttle a client that reads its answers."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shopify_sandbox.api import AdminApi
from shopify_sandbox.server import create_app
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.shopify.fake_shop import FakeClock, cost
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.pagination import Pager
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


# --- against a store with the slowest plan, on its own time ---


class SlowStore:
    """A sandbox store with the slowest plan, whose bucket refills by a fake clock."""

    def __init__(self, clock: FakeClock, state_dir: Path) -> None:
        spec = StoreSpec("slow", orders=60, plan="Standard", until=datetime(2026, 6, 30, tzinfo=UTC))
        self.clock = clock
        self.app = create_app([spec], state_dir, monotonic=clock)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="error"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/slow"
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def client(self) -> ShopifyClient:
        clock = self.clock
        return ShopifyClient(tenant="slow", api_url=self.url, token=DEFAULT_TOKEN, clock=clock, sleep=clock.sleep)

    @property
    def api(self) -> AdminApi:
        api: AdminApi = self.app.state.sandbox.stores.get("slow")
        return api

    def __enter__(self) -> SlowStore:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def slow_store(clock: FakeClock, tmp_path: Path) -> Iterator[SlowStore]:
    with SlowStore(clock, tmp_path) as store:
        yield store


def test_a_long_read_of_a_slow_store_is_never_throttled(slow_store: SlowStore) -> None:
    client = slow_store.client()
    for _ in range(10):
        read = [Pager(client, stream.pages).changes(SINCE) for stream in STREAMS]
        assert sum(len(page.nodes) for pages in read for page in pages) > 60
    stats = slow_store.api.stats
    assert (stats.throttled, client.usage.retries) == (0, 0)
    assert client.usage.requests == stats.requests
    assert client.usage.points == stats.points > 2 * slow_store.api.bucket.maximum  # so that it had to wait
    assert client.usage.seconds_waiting > 20


def test_streams_side_by_side_on_one_client_are_never_throttled(slow_store: SlowStore) -> None:
    client = slow_store.client()
    slow_store.api.bucket.charge(1_400)
    counts: list[int] = []

    def read(pager: Pager) -> None:
        counts.append(sum(len(page.nodes) for _ in range(2) for page in pager.changes(SINCE)))

    threads = [threading.Thread(target=read, args=(Pager(client.clone(), s.pages),)) for s in (*STREAMS, *STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counts) == len(threads)
    assert slow_store.api.stats.throttled == 0


def test_two_clients_that_drink_from_one_bucket_are_never_throttled(slow_store: SlowStore) -> None:
    """Two processes, say: neither knows of the other's calls."""
    slow_store.api.bucket.charge(1_200)
    clients = [slow_store.client() for _ in range(2)]
    turns = [Pager(client, STREAMS[2].pages).changes(SINCE) for _ in range(8) for client in clients]
    while turns:
        turns = [pages for pages in turns if next(pages, None) is not None]
    assert all(client.usage.seconds_waiting > 0 for client in clients)
    assert slow_store.api.stats.throttled == 0
