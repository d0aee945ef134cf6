"""Whatever happens, in whatever order: incremental marts equal those made from nothing, row by row."""

from __future__ import annotations

import os
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.marts.histories import ROUNDS, History, histories, play
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, dates_out_of_bounds, differences

pytestmark = pytest.mark.thorough

HISTORIES = int(os.environ.get("XENO_TEST_HISTORIES", "200"))
"""How many histories are played: each is a tenant, and all of them share every transform."""

_TODAYS = [date(2026, 4, 1) + timedelta(days=days) for days in (0, 1, 1, 40, 130)]


@pytest.mark.timeout(7200)
def test_incremental_marts_equal_a_full_rebuild_after_any_history(warehouse: Warehouse) -> None:
    drawn = _draw(HISTORIES)
    stores = [Store(f"store-{number:05}") for number in range(len(drawn))]
    for round_, today in zip(range(ROUNDS), _TODAYS, strict=True):
        for store, history in zip(stores, drawn, strict=True):
            if history.joins == round_:
                warehouse.register([(store.handle, history.zone, "EUR")])
            if history.joins <= round_:
                for event in history.rounds[round_]:
                    zone = play(store, event)
                    if zone:
                        warehouse.move(store.handle, zone)
                store.load(warehouse)
        warehouse.transform(as_of=today)
    incremental = warehouse.marts()
    warehouse.rebuild(as_of=_TODAYS[-1])
    rebuilt = warehouse.marts()

    assert sum(rebuilt["marts.fct_orders"].values()) > len(drawn), "the histories are empty"
    assert differences(incremental, rebuilt) == {}
    assert warehouse.value("select count(*) from marts.fct_orders where is_redated") > len(drawn) / 10
    assert dates_out_of_bounds(warehouse) == []


def _draw(count: int) -> list[History]:
    """So many different histories, the same in every run."""
    drawn: dict[History, None] = {}

    @seed(20261121)
    @settings(
        max_examples=count * 2, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=HealthCheck
    )
    @given(histories())
    def collect(history: History) -> None:
        drawn[history] = None

    collect()
    assert len(drawn) >= count
    return list(drawn)[-count:]  # hypothesis begins with the simplest
