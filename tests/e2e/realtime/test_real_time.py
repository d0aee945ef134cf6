"""From many stores to their marts, with real processes: sandbox, gateway, Dagster's daemon, PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import get_args

import dagster as dg
import psutil
import pytest

from tests.support.realtime.final_state import check_marts
from tests.support.realtime.latency import Latency, by_inbox, by_looking, orders_seen, stages
from tests.support.realtime.machine import Disturbance, Machine
from tests.support.realtime.traffic import Traffic
from xeno_pipeline.insights.syncs import Sync, follow_sync, read_sync, request_sync

pytestmark = pytest.mark.thorough

RATE = 5.0
"""Events a second."""

SECONDS_TO_CATCH_UP = 300.0
"""It takes a tenth of that, but on a machine that runs all tests at once."""

SECONDS_TO_CANCEL = 10.0
"""It takes less than one, and without an event the run would end in twenty."""

DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)


@pytest.fixture(scope="module")
def machine(make_home: Callable[[], Path]) -> Iterator[Machine]:
    """Four stores; the quick tests of this file share it, one after another."""
    with Machine(make_home(), [f"shop-{number}" for number in range(4)]) as machine:
        yield machine


@pytest.fixture(scope="module")
def fleet(make_home: Callable[[], Path]) -> Iterator[Machine]:
    """Twenty stores; the long tests share it."""
    with Machine(make_home(), [f"shop-{number:02}" for number in range(20)]) as machine:
        yield machine


@pytest.mark.timeout(900)
def test_what_happens_in_stores_is_in_their_marts_soon_and_once(machine: Machine) -> None:
    measure(machine, seconds=15)
    check_marts(machine)


@pytest.mark.timeout(900)
def test_a_run_is_forked_from_a_process_that_has_loaded_the_pipeline(machine: Machine) -> None:
    machine.subscribe()
    next(iter(machine.stores.values())).place_order()

    forkserver, code_server = psutil.Process(machine.await_run("STARTED")).parents()[:2]

    assert any("multiprocessing.forkserver" in argument for argument in forkserver.cmdline())
    assert code_server.cmdline()[3:5] == ["api", "grpc"]
    assert forkserver.num_threads() == 1  # of more than one, a fork may wait for a lock that nobody holds
    machine.await_marts(SECONDS_TO_CATCH_UP)


@pytest.mark.timeout(900)
def test_a_run_that_is_cancelled_ends_at_once_and_nothing_is_lost(machine: Machine) -> None:
    machine.subscribe()
    store = next(iter(machine.stores.values()))
    store.place_order()
    process = psutil.Process(machine.await_run("STARTED"))
    machine.await_marts(SECONDS_TO_CATCH_UP)  # it waits for more now

    with machine.open_instance() as instance:
        (run,) = instance.get_runs(dg.RunsFilter(job_name="events", statuses=[dg.DagsterRunStatus.STARTED]))
        assert instance.run_launcher.terminate(run.run_id)
        process.wait(SECONDS_TO_CANCEL)
        store.place_order()
        machine.await_marts(SECONDS_TO_CATCH_UP)
        cancelled = instance.get_run_by_id(run.run_id)

    assert cancelled is not None
    assert cancelled.status == dg.DagsterRunStatus.CANCELED


@pytest.mark.timeout(900)
def test_a_requested_sync_is_a_run_within_seconds_and_is_followed_to_its_end(machine: Machine) -> None:
    database = machine.warehouse.database
    (handle, *_), store = machine.stores, next(iter(machine.stores.values()))
    (order,) = store.place_order()["orders"]
    with database.connect() as connection:
        sync_id = request_sync(connection, handle, by="key test").sync_id

    def read() -> Sync:
        with database.connect() as connection:
            return read_sync(connection, handle, sync_id)

    async def follow() -> list[Sync]:
        events = follow_sync(read, seconds_between=0.2, at_most_seconds=SECONDS_TO_CATCH_UP)
        return [event.sync async for event in events if event is not None]

    seen = asyncio.run(follow())

    assert [state for state, _ in groupby(sync.state for sync in seen)] == ["queued", "running", "succeeded"]
    ended = seen[-1]
    assert ended.started_at is not None
    print(f"It began {(ended.started_at - ended.requested_at).total_seconds():.1f} s after it was requested.")
    assert {stream.phase for stream in ended.progress} == {"done"}
    assert machine.warehouse.value("select count(*) from marts.fct_orders where order_id = %s", order) == 1


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_counted_twice_whatever_is_killed(machine: Machine) -> None:
    disturb(machine, [what for what in DISTURBANCES if what != "launch"], seconds=15)
    check_marts(machine)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_stores_are_in_their_marts_within_ten_seconds_most_often_and_twenty_nearly_always(
    fleet: Machine,
) -> None:
    latencies = measure(fleet, seconds=120)
    check_marts(fleet)
    for latency in latencies:
        assert latency.median <= 10  # half of it, on two cores that do nothing else
        assert latency.p95 <= 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_event_after_a_quiet_time_starts_a_run_at_once(machine: Machine) -> None:
    machine.subscribe()
    took = []
    for handle, store in list(machine.stores.items())[:3]:
        machine.await_idleness(SECONDS_TO_CATCH_UP)
        before = machine.warehouse.value("select max(id) from ops.webhook_inbox where tenant_id = %s", handle) or 0
        store.place_order()
        machine.await_marts(SECONDS_TO_CATCH_UP)
        longest = "select extract(epoch from max(in_marts_at - triggered_at)) from ops.webhook_inbox"
        took.append(float(machine.warehouse.value(f"{longest} where tenant_id = %s and id > %s", handle, before)))
    print(f"Events after a quiet time took {', '.join(f'{each:.1f}' for each in took)} s.")
    assert max(took) <= 20  # half of it, on two cores that do nothing else


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", DISTURBANCES)
def test_twenty_stores_lose_nothing_though_it_is_killed_again_and_again(fleet: Machine, what: Disturbance) -> None:
    disturb(fleet, [what] * 4, seconds=120)
    check_marts(fleet)


def measure(machine: Machine, seconds: float) -> tuple[Latency, Latency]:
    """Let traffic flow, and wait for it; how long it took by the inbox, and by looking into a mart."""
    machine.subscribe(duplicates=0.2, disorder=2.0)
    traffic = Traffic(machine.stores, seed=1)
    with orders_seen(machine.warehouse, traffic) as seen:
        traffic.run(seconds, RATE)
        machine.await_marts(SECONDS_TO_CATCH_UP)
    latencies = by_inbox(machine.warehouse), by_looking(machine.warehouse, seen)
    print(f"{len(machine.stores)} stores, {traffic.events / seconds:.1f} events a second for {seconds} s.")
    print("To the marts, by the inbox: {}; by looking into a mart: {}.".format(*latencies))
    print(f"Each step took, by the median: {stages(machine.warehouse)}.")
    return latencies


def disturb(machine: Machine, what: Sequence[Disturbance], seconds: float) -> None:
    """Let traffic flow at least so long while things are killed one after another, and wait for it."""
    machine.subscribe(duplicates=0.2, disorder=2.0)
    traffic = Traffic(machine.stores, seed=2)
    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(lambda: [machine.disturb(each) for each in what])
        while not disturbing.done() or traffic.events < seconds * RATE:
            traffic.run(1, RATE)
        disturbing.result()
    machine.await_marts(SECONDS_TO_CATCH_UP)
