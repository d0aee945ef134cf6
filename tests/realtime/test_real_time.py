"""From many stores to their marts, with real processes: sandbox, gateway, Dagster's daemon, PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.marts.report import sales_in_marts, sales_reported
from tests.marts.warehouse import differences
from tests.realtime.latency import Watch, by_inbox, by_looking
from tests.realtime.machine import Machine
from tests.realtime.traffic import Traffic

SECONDS_TO_CATCH_UP = 300.0
"""It takes a tenth of that, but on a machine that runs all tests at once."""


@pytest.fixture(scope="module")
def machine(make_home: Callable[[], Path]) -> Iterator[Machine]:
    """Four stores; the tests of this file share it, one after another."""
    with Machine(make_home(), [f"shop-{number}" for number in range(4)]) as machine:
        yield machine


@pytest.mark.timeout(900)
def test_what_happens_in_stores_is_in_their_marts_soon_and_once(machine: Machine) -> None:
    machine.subscribe(duplicates=0.2, disorder=2.0)
    traffic = Traffic(machine.stores, seed=1)
    with Watch(machine.warehouse, traffic) as watch:
        traffic.run(seconds=15, rate=5)
        machine.await_marts(SECONDS_TO_CATCH_UP)
    print("by the inbox:", by_inbox(machine.warehouse))
    print("by looking into a mart:", by_looking(machine.warehouse, watch.seen))
    check_marts(machine)


def check_marts(machine: Machine) -> None:
    """The marts equal a full rebuild and the stores' own reports; a full read finds nothing that was missed."""
    warehouse = machine.warehouse
    assert warehouse.value("select count(*) from ops.webhook_inbox where dead_at is not null") == 0
    today = warehouse.value("select min(as_of_date) from ops.tenant_marts")
    incremental = warehouse.marts()
    warehouse.rebuild(as_of=today)
    assert differences(incremental, warehouse.marts()) == {}
    for handle, store in machine.stores.items():
        assert sales_in_marts(warehouse, handle, "day") == sales_reported(store, "day")
    for report in machine.sync(full=True):
        assert report.rows_changed == 0, f"{report.tenant_id}: the events missed something of {report.stream}"
