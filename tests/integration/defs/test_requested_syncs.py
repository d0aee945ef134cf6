"""Requested syncs become runs, and a store that a merchant has connected is read without a further step."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.registered import register
from xeno_pipeline.defs.concurrency import BACKFILL, LANE_TAG, REQUESTED, ROUTINE
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, SYNC_JOB
from xeno_pipeline.tenants import registry, syncs

pytestmark = pytest.mark.thorough


@pytest.fixture
def waiting(location: Location, shop: Shop, other_shop: Shop) -> list[str]:
    """Two tenants that were connected and are yet to be read."""
    handles = sorted([shop.handle, other_shop.handle])
    for each in (shop, other_shop):
        location.installation.connect(each)
    with location.installation.database.connect() as connection:
        for handle in handles:
            syncs.request_first_read(connection, handle)
    return handles


def tick(location: Location) -> list[dg.RunRequest]:
    """The runs that the sensor requests."""
    sensor = location.definitions.resolve_sensor_def("requested_syncs")
    resources = location.definitions.resources
    assert resources is not None
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        answer = sensor(context)
    return answer if isinstance(answer, list) else []


def config(request: dg.RunRequest) -> Any:
    return request.run_config["ops"]["extract_tenants"]["config"]


def run(location: Location, request: dg.RunRequest) -> bool:
    """Run what was requested, as the daemon would."""
    job = location.definitions.resolve_job_def(SYNC_JOB)
    return job.execute_in_process(
        instance=location.instance, run_config=request.run_config, tags=dict(request.tags), raise_on_error=False
    ).success


def ask(location: Location, handle: str, *streams: str, full: bool = False) -> int:
    with location.installation.database.connect() as connection:
        return syncs.request(connection, handle, is_full=full, streams=streams, by="key test")


def found(location: Location) -> dict[str, tuple[object, ...]]:
    rows = location.installation.query("select tenant_id, state, attempts from ops.syncs")
    return {tenant_id: (state, attempts) for tenant_id, state, attempts in rows}


def end(location: Location, sync_id: int) -> tuple[object, ...]:
    (row,) = location.installation.query("select state, reason from ops.syncs where sync_id = %s", sync_id)
    return row


def test_one_run_reads_all_connected_stores_and_each_gets_its_partition(location: Location, waiting: list[str]) -> None:
    (request,) = tick(location)
    assert config(request)["tenants"] == waiting
    assert request.tags[LANE_TAG] == BACKFILL[LANE_TAG]

    assert run(location, request)

    assert {state for state, _ in found(location).values()} == {"succeeded"}
    assert sorted(location.instance.get_dynamic_partitions("tenants")) == waiting
    in_marts = location.installation.query("select distinct tenant_id from marts.fct_orders order by 1")
    assert [tenant for (tenant,) in in_marts] == waiting
    assert tick(location) == []


def test_a_first_read_that_fails_is_tried_again_later_and_holds_up_no_other(
    location: Location, waiting: list[str], shop: Shop, other_shop: Shop
) -> None:
    shop.control.set_tokens("shpat_another")
    (request,) = tick(location)
    assert not run(location, request)

    assert found(location) == {shop.handle: ("queued", 1), other_shop.handle: ("succeeded", 1)}
    assert tick(location) == []  # not yet
    location.installation.execute("update ops.syncs set due_at = now()")
    (again,) = tick(location)
    assert again.run_key != request.run_key  # Dagster starts one run for a key, for ever


def test_a_store_whose_run_is_under_way_is_not_read_twice_and_keeps_no_other_waiting(
    location: Location, waiting: list[str]
) -> None:
    start(location, waiting[:1], dg.DagsterRunStatus.STARTED, ROUTINE)
    (request,) = tick(location)
    assert config(request)["tenants"] == waiting[1:]


def test_a_scheduled_run_that_waits_in_the_queue_keeps_no_store_waiting(location: Location, waiting: list[str]) -> None:
    start(location, waiting[:1], dg.DagsterRunStatus.NOT_STARTED, ROUTINE)
    start(location, waiting[1:], dg.DagsterRunStatus.NOT_STARTED, BACKFILL)
    (request,) = tick(location)
    assert config(request)["tenants"] == waiting[:1]


def start(location: Location, tenants: list[str], status: dg.DagsterRunStatus, lane: dict[str, str]) -> str:
    config = {"ops": {"extract_tenants": {"config": {"tenants": tenants}}}}
    job = location.definitions.resolve_job_def(SYNC_JOB)
    return location.instance.create_run_for_job(job_def=job, run_config=config, status=status, tags=lane).run_id


def test_a_suspended_tenants_first_read_waits_until_it_is_resumed(location: Location, waiting: list[str]) -> None:
    with location.installation.database.connect() as connection:
        for handle in waiting:
            registry.set_status(connection, handle, "suspended")
    assert tick(location) == []
    assert {state for state, _ in found(location).values()} == {"queued"}


def test_a_request_becomes_a_run_that_reads_what_was_asked_for(location: Location, shop: Shop) -> None:
    location.installation.sync(location.installation.connect(shop))
    shop.control.place_order()
    sync_id = ask(location, shop.handle, "orders", "shop")

    (request,) = tick(location)
    assert config(request) == {"tenants": [shop.handle], "full": False, "streams": ["orders", "shop"]}
    assert request.tags[LANE_TAG] == REQUESTED[LANE_TAG]
    assert run(location, request)

    assert end(location, sync_id) == ("succeeded", None)
    progress = location.installation.query(
        "select stream, phase, records > 0 from ops.sync_progress where sync_id = %s order by stream", sync_id
    )
    assert progress == [("orders", "done", True), ("shop", "done", True)]


def test_one_stores_failure_fails_only_its_own_request(location: Location, shop: Shop, other_shop: Shop) -> None:
    for each in (shop, other_shop):
        location.installation.sync(location.installation.connect(each))
    shop.control.set_tokens("shpat_another")
    failing, healthy = ask(location, shop.handle), ask(location, other_shop.handle)

    (request,) = tick(location)
    assert not run(location, request)

    assert end(location, healthy) == ("succeeded", None)
    state, reason = end(location, failing)
    assert state == "failed"
    assert "token" in str(reason)
    streams = location.installation.query(
        "select phase, reason <> '' from ops.sync_progress where sync_id = %s", failing
    )
    assert set(streams) == {("failed", True)}
    assert ask(location, shop.handle) != failing  # that one is over


def test_a_thousand_requests_at_once_make_few_runs(location: Location) -> None:
    handles = [f"store-{number:03}" for number in range(1000)]
    register(location.installation.database, *handles)
    for number, handle in enumerate(handles):
        ask(location, handle, full=number % 100 == 0)

    requests = tick(location)

    lanes = [request.tags[LANE_TAG] for request in requests]
    assert (lanes.count("requested"), lanes.count("backfill")) == (10, 1)
    assert sorted(tenant for request in requests for tenant in config(request)["tenants"]) == handles
    assert max(len(config(request)["tenants"]) for request in requests) <= 100


def test_the_request_of_a_store_that_was_suspended_since_is_refused(location: Location) -> None:
    register(location.installation.database, "acme")
    sync_id = ask(location, "acme")
    with location.installation.database.connect() as connection:
        registry.set_status(connection, "acme", "suspended")
    assert tick(location) == []
    assert end(location, sync_id) == ("refused", "The store is suspended: resume it, then request the sync again.")


def test_a_request_whose_run_was_killed_is_closed_and_a_first_read_waits_again(location: Location) -> None:
    register(location.installation.database, "acme", "globex")
    sync_id = ask(location, "acme")
    with location.installation.database.connect() as connection:
        syncs.request_first_read(connection, "globex")
        process = location.run_in_another_process(SYNC_JOB)
        (killed,) = location.instance.get_runs()
        syncs.begin(connection, killed.run_id, ["acme", "globex"], is_full=False, streams=[])
    assert tick(location) == []
    assert end(location, sync_id) == ("running", None)

    process.communicate()
    assert tick(location) == []

    state, reason = end(location, sync_id)
    assert state == "failed"
    assert killed.run_id[:8] in str(reason)
    assert found(location)["globex"] == ("queued", 0)


def test_a_request_whose_runs_die_before_they_begin_it_is_given_up(location: Location) -> None:
    register(location.installation.database, "acme")
    sync_id = ask(location, "acme")
    for _ in range(3):
        assert len(tick(location)) == 1
        assert tick(location) == []  # the run has a minute at least
        location.installation.execute("update ops.syncs set due_at = now()")
    assert tick(location) == []
    state, reason = end(location, sync_id)
    assert state == "failed"
    assert "3 runs died" in str(reason)


def test_a_scheduled_run_does_what_was_requested_meanwhile(location: Location, shop: Shop) -> None:
    location.installation.sync(location.installation.connect(shop))
    sync_id = ask(location, shop.handle, "orders")
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[shop.handle]).success
    assert end(location, sync_id) == ("succeeded", None)
    whole = ask(location, shop.handle, full=True)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[shop.handle]).success
    assert end(location, whole) == ("queued", None)  # that run read less


def test_webhooks_that_have_a_whole_stream_read_are_recorded_too(location: Location, shop: Shop) -> None:
    location.installation.sync(location.installation.connect(shop))
    shop.control.place_order()
    location.installation.execute(
        """
        insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream)
        values (%s, gen_random_uuid(), 'orders/updated', 'orders')
        """,
        shop.handle,
    )
    job = location.definitions.resolve_job_def(EVENTS_JOB)
    assert job.execute_in_process(instance=location.instance, raise_on_error=False).success
    assert location.installation.query(
        "select kind, state, stream, phase from ops.syncs join ops.sync_progress using (sync_id)"
    ) == [("run", "succeeded", "orders", "done")]


def test_a_run_that_nobody_requested_is_recorded(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[shop.handle]).success
    kinds = "select kind, state, requested_by, run_id is not null from ops.syncs"
    assert location.installation.query(kinds) == [("run", "succeeded", "Dagster", True)]
