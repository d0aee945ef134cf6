"""Schedules: who is due is asked of the database, in batches, and nothing is started twice."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.registered import register
from xeno_pipeline.defs import schedules
from xeno_pipeline.defs.concurrency import LANE_TAG
from xeno_pipeline.defs.dagster_internals import runs_of_latest_materializations
from xeno_pipeline.defs.jobs.names import SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.jobs.retention import delete_runs
from xeno_pipeline.defs.run_requests import unfinished_tenants
from xeno_pipeline.tenants import usage

pytestmark = pytest.mark.thorough

AT = datetime(2026, 11, 20, 10, 7, tzinfo=UTC)
NAMES = {"hourly_sync", "nightly_reconciliation", "daily_rollover", "retention"}


def tick(location: Location, name: str, at: datetime = AT) -> list[dg.RunRequest]:
    """The runs that one tick of a schedule asks for."""
    found: dg.ScheduleDefinition = location.definitions.resolve_schedule_def(name)
    with dg.build_schedule_context(
        instance=location.instance, scheduled_execution_time=at, resources=location.definitions.resources
    ) as context:
        return list(found.evaluate_tick(context).run_requests or ())


def named(requests: list[dg.RunRequest], lane: str = "routine") -> list[list[str]]:
    """The tenants of each run of a lane."""
    return [
        next(iter(request.run_config["ops"].values()))["config"]["tenants"]
        for request in requests
        if request.tags[LANE_TAG] == lane
    ]


def test_a_pipeline_runs_itself_from_the_start(location: Location) -> None:
    repository = location.definitions.get_repository_def()
    running = {found.name for found in repository.schedule_defs if found.default_status.value == "RUNNING"}
    assert running >= NAMES


def test_an_hourly_tick_takes_all_tenants_in_runs_of_about_the_same_size(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "TENANTS_A_SYNC", 3)
    handles = [f"store-{number}" for number in range(7)]
    register(location.installation.database, *handles)

    batches = named(tick(location, "hourly_sync"))

    assert sorted(handle for batch in batches for handle in batch) == handles
    assert sorted(map(len, batches)) == [2, 2, 3]


def test_a_tick_that_is_evaluated_twice_asks_for_the_same_runs(location: Location) -> None:
    register(location.installation.database, "acme", "globex")
    keys = [[request.run_key for request in tick(location, "hourly_sync")] for _ in range(2)]
    later = [request.run_key for request in tick(location, "hourly_sync", AT.replace(hour=11))]
    assert keys[0] == keys[1] != later


def test_tenants_in_an_unfinished_run_are_left_out(location: Location) -> None:
    register(location.installation.database, "acme", "globex")
    job = location.definitions.resolve_job_def(SYNC_JOB)
    config = {"ops": {"extract_tenants": {"config": {"tenants": ["acme"]}}}}
    location.instance.create_run_for_job(job, run_config=config, status=dg.DagsterRunStatus.STARTED)

    assert unfinished_tenants(location.instance, SYNC_JOB) == {"acme"}
    assert named(tick(location, "hourly_sync")) == [["globex"]]


def test_a_history_comes_in_a_run_of_its_own_behind_all_others(
    location: Location, shop: Shop, other_shop: Shop
) -> None:
    register(location.installation.database, "acme")
    location.connect(shop, other_shop)

    requests = tick(location, "hourly_sync")

    assert named(requests) == [["acme"]]
    assert sorted(named(requests, "backfill")) == sorted([[shop.handle], [other_shop.handle]])
    priorities = {request.tags[LANE_TAG]: int(request.tags["dagster/priority"]) for request in requests}
    assert priorities["backfill"] < priorities["routine"]


def test_histories_take_turns_so_that_failing_ones_do_not_hold_up_the_rest(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "HISTORIES_A_TICK", 2)
    handles = [f"store-{number}" for number in range(5)]
    register(location.installation.database, *handles)
    location.installation.query("delete from ops.sync_state returning 1")

    ticks = [named(tick(location, "hourly_sync", AT.replace(hour=hour)), "backfill") for hour in range(3)]

    assert [len(runs) for runs in ticks] == [2, 2, 2]
    assert {handle for runs in ticks for (handle,) in runs} == set(handles)


def test_a_history_waits_while_its_tenants_points_of_the_month_are_used_up(location: Location, shop: Shop) -> None:
    location.connect(shop)
    with location.installation.database.connect() as connection:
        usage.set_limit(connection, shop.handle, 1000)
        usage.record(connection, shop.handle, points=1000.0, requests=1)
    assert tick(location, "hourly_sync") == []


def test_the_marts_of_each_shop_are_updated_once_after_its_midnight(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success
    assert tick(location, "daily_rollover") == []

    location.installation.query("update ops.tenant_marts set as_of_date = as_of_date - 1 returning 1")
    first, again = tick(location, "daily_rollover"), tick(location, "daily_rollover", AT.replace(minute=22))
    assert named(first) == [[shop.handle]]
    assert first[0].run_key == again[0].run_key  # however the run ends, it is not started every quarter of an hour

    assert location.run(TRANSFORM_JOB, "build_marts", tenants=[shop.handle]).success
    assert tick(location, "daily_rollover") == []


def test_an_hour_without_changes_asks_each_store_once_and_records_nothing(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success
    shop.control.reset_stats()

    result = location.run(SYNC_JOB, "extract_tenants", tenants=[])

    assert result.success
    assert shop.control.stats()["operations"] == {"ChangeProbe": 1}
    assert [event for event in result.all_events if event.is_step_materialization] == []
    assert result.output_for_node("refresh_marts").tenant_ids == []


def test_old_runs_are_deleted_but_for_those_that_made_what_there_is(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success  # made everything
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success  # and this nothing
    made, _ = (record.dagster_run.run_id for record in location.instance.get_run_records(ascending=True))

    with location.installation.database.connect() as connection:
        needed = runs_of_latest_materializations(connection)
    assert delete_runs(location.instance, datetime.now(UTC), needed) == 1

    assert [record.dagster_run.run_id for record in location.instance.get_run_records()] == [made]
    assert set(location.materialized(dg.AssetKey(["raw", "orders"]))) == {shop.handle}
