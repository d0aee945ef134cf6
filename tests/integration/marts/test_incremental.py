"""Whatever happens, in whatever order: incremental marts equal those made from nothing, row by row."""

from __future__ import annotations

import os
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.marts.histories import ROUNDS, History, histories, play
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, dates_out_of_bounds, differences
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments import registry

pytestmark = pytest.mark.thorough

HISTORIES = int(os.environ.get("XENO_TEST_HISTORIES", "200"))
"""How many histories are played: each is a tenant, and all of them share every transform."""

_TODAYS = [date(2026, 4, 1) + timedelta(days=days) for days in (0, 1, 1, 40, 130)]


@pytest.mark.timeout(7200)
def test_incremental_marts_equal_a_full_rebuild_after_any_history(warehouse: Warehouse) -> None:
    drawn = _draw(HISTORIES)
    stores = [Store(f"store-{number:05}") for number in range(len(drawn))]
    for round_, today in zip(range(ROUNDS), _TODAYS, strict=True):
        _play(warehouse, stores, drawn, round_)
        warehouse.transform(as_of=today, refit=True)
    incremental = warehouse.marts()
    warehouse.rebuild(as_of=_TODAYS[-1], refit=True)
    rebuilt = warehouse.marts()

    assert sum(rebuilt["marts.fct_orders"].values()) > len(drawn), "the histories are empty"
    assert differences(incremental, rebuilt) == {}
    # Too few order again for a model, but a digest of what it would be fitted on is there.
    assert sum(rebuilt["intermediate.prediction_fits"].values()) == len(drawn)
    assert warehouse.value("select count(*) from marts.fct_orders where is_redated") > len(drawn) / 10
    assert dates_out_of_bounds(warehouse) == []


@pytest.mark.timeout(7200)
def test_members_of_segments_equal_a_full_evaluation_after_any_history(warehouse: Warehouse) -> None:
    drawn = _draw(HISTORIES)[-HISTORIES // 4 :]
    stores = [Store(f"store-{number:05}") for number in range(len(drawn))]
    joined = 0
    for round_ in range(ROUNDS):
        _play(warehouse, stores, drawn, round_)
        with warehouse.database.connect() as connection:
            for store, history in zip(stores, drawn, strict=True):
                if history.joins == round_:
                    for number, query in enumerate(SEGMENTS):
                        registry.save_segment(connection, store.handle, f"{number}", query)
                elif history.joins < round_ and history.rounds[round_]:
                    _change_segment(connection, store.handle, history.rounds[round_][0].hour)
        warehouse.transform()

        recorded = warehouse.query(
            "select tenant_id, segment_id, customer_id from marts.segment_history where valid_to is null"
        )
        evaluated = warehouse.query(
            """
            select tenant_id, matching.segment_id, matching.customer_id
            from ops.tenant_marts
            cross join lateral ops.matching_segments(
                tenant_id,
                as_of_date,
                array(select segment_id from ops.segments where segments.tenant_id = tenant_marts.tenant_id),
                null
            ) matching
            """
        )
        assert set(recorded) == set(evaluated)
        assert len(recorded) == len(evaluated)
        joined += len(recorded)
    assert joined > 5 * len(drawn)  # about ten: it depends on the hour, too
    assert warehouse.query("select query, problem from ops.segments where problem is not null") == []
    # All on one day, but for shops that moved to a zone in which it is another.
    assert warehouse.query("select * from marts.segment_history where valid_to <= valid_from") == []


SEGMENTS = (
    "number_of_orders > 1",
    "amount_spent > 30 OR net_sales < 0",
    "first_order_date < -200d AND last_order_date > -300d",
    "customer_added_date <= 2026-01-01 AND number_of_orders = 0",
    "abandoned_checkout_date IS NOT NULL",
    "abandoned_checkout_date > -250d",
    "orders_placed MATCHES (date >= -280d, amount > 20, count >= 2)",
    "products_purchased MATCHES (id IN (1, 2, 3, 4, 5, 6, 7, 8), sum_quantity > 2)",
    "products_purchased NOT MATCHES (id BETWEEN 1 AND 20)",
    "is_high_value = true",
    "is_high_value = false AND number_of_orders > 0",
    "rfm_segment IN ('CHAMPIONS', 'LOYAL', 'LOST', 'ABOUT_TO_SLEEP')",
    "recency_score > 3 AND NOT monetary_score = 1",
    "churn_segment = 'STANDARD' AND is_churn_risk = true",
    "customer_email_domain = 'example.com'",
)


def _change_segment(connection: Connection, handle: str, hour: int) -> None:
    """Something that is done to a segment between transforms, such as removing it."""
    segments = registry.list_segments(connection, handle)
    segment = segments[hour % len(segments)]
    if hour % 3 == 0:
        registry.remove_segment(connection, handle, segment.segment_id)
    elif hour % 3 == 1:
        registry.update_segment(connection, handle, segment.segment_id, query=SEGMENTS[hour % len(SEGMENTS)])
    else:
        registry.update_segment(connection, handle, segment.segment_id, name=f"{segment.name} {hour}")


def _play(warehouse: Warehouse, stores: list[Store], drawn: list[History], round_: int) -> None:
    """Let happen, and load, what happens in a round."""
    for store, history in zip(stores, drawn, strict=True):
        if history.joins == round_:
            warehouse.register([(store.handle, history.zone, "EUR")])
        if history.joins <= round_:
            for event in history.rounds[round_]:
                zone = play(store, event)
                if zone:
                    warehouse.move(store.handle, zone)
            store.load(warehouse)


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
