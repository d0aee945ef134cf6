"""When the sensor starts a run, and what a run does with what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.support.events import make_due, read, states, tell
from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.dagster_internals import step_failure_metadata
from xeno_pipeline.defs.failures import FAILED_TENANTS
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, SYNC_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.sensors.backlog import LastRequest, next_request, pause_between_runs, read_cursor, write_cursor
from xeno_pipeline.extraction.inbox import Backlog
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.marts.dbt import NodeSink
from xeno_pipeline.marts.transform import TransformRequest, transform

DUE = Backlog(["acme", "zeta"], (7, 0))


def test_nothing_due_starts_nothing() -> None:
    assert isinstance(next_request(Backlog([], None), run_is_unfinished=False, last=None, now=0), str)


def test_while_a_run_is_unfinished_none_is_started() -> None:
    assert isinstance(next_request(DUE, run_is_unfinished=True, last=None, now=0), str)


def test_what_is_due_starts_one_run_for_all_tenants() -> None:
    assert next_request(DUE, run_is_unfinished=False, last=None, now=5) == LastRequest(7, 0, runs=1, at=5)


def test_other_due_events_start_a_run_at_once() -> None:
    last = LastRequest(6, 0, runs=4, at=99)
    assert next_request(DUE, run_is_unfinished=False, last=last, now=100) == LastRequest(7, 0, runs=1, at=100)


def test_an_event_that_was_tried_since_starts_a_run_at_once() -> None:
    tried = Backlog(["acme"], (7, 1))
    last = LastRequest(7, 0, runs=4, at=99)
    assert next_request(tried, run_is_unfinished=False, last=last, now=100) == LastRequest(7, 1, runs=1, at=100)


def test_runs_that_do_nothing_are_repeated_with_growing_pauses() -> None:
    last, now, pauses = LastRequest(7, 0, runs=1, at=0), 0.0, []
    for _ in range(9):
        now = last.at + pause_between_runs(last.runs)
        assert isinstance(next_request(DUE, run_is_unfinished=False, last=last, now=now - 0.1), str)
        decision = next_request(DUE, run_is_unfinished=False, last=last, now=now)
        assert isinstance(decision, LastRequest)
        pauses.append(now - last.at)
        last = decision
    assert pauses[0] == 10
    assert pauses == sorted(pauses)
    assert pauses[-1] == 300


def test_the_cursor_keeps_what_a_run_was_started_for() -> None:
    started = LastRequest(7, 2, runs=3, at=1.5)
    assert read_cursor(write_cursor(started)) == started
    assert read_cursor(None) is None


@pytest.fixture
def pair(location: Location, shop: Shop, other_shop: Shop) -> list[str]:
    """Two tenants that are synced."""
    location.connect(shop, other_shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    return [shop.handle, other_shop.handle]


def test_one_tick_starts_one_run_which_takes_the_events_of_all_tenants_to_the_marts(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    for each in (shop, other_shop):
        (order,) = each.control.place_order()["orders"]
        tell(location.installation.database, each, ("orders/create", {"id": order}))
    before = location.installation.value("select count(*) from marts.fct_orders")
    sensor = location.definitions.resolve_sensor_def("webhooks")
    resources = location.definitions.resources
    assert resources is not None
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        tick = sensor.evaluate_tick(context)
    assert len(tick.run_requests or []) == 1

    job = location.definitions.resolve_job_def(EVENTS_JOB)
    assert job.execute_in_process(instance=location.instance).success

    assert location.installation.value("select count(*) from marts.fct_orders") == before + 2
    assert states(location.installation) == [("in the marts", 0, None)] * 2
    with dg.build_sensor_context(instance=location.instance, resources=resources, cursor=tick.cursor) as context:
        assert isinstance(sensor(context), dg.SkipReason)


@pytest.mark.thorough
def test_what_comes_while_a_tick_waits_starts_a_run_at_once(location: Location, pair: list[str], shop: Shop) -> None:
    sensor, resources = location.definitions.resolve_sensor_def("webhooks"), location.definitions.resources
    coming = threading.Timer(0.3, tell, [location.installation.database, shop, ("orders/create", {"id": 1})])
    with dg.SensorEvaluationContext(
        instance_ref=None,
        last_tick_completion_time=1.0,
        last_run_key=None,
        cursor=None,
        log_key=None,
        repository_name=None,
        instance=location.instance,
        resources=resources,
        sensor_name="webhooks",
    ) as context:
        coming.start()
        tick = sensor.evaluate_tick(context)
    coming.join()
    assert len(tick.run_requests or []) == 1


@pytest.fixture
def many(location: Location, tmp_path: Path) -> Iterator[list[Shop]]:
    """Forty tenants whose orders are read, and in the marts."""
    handles = [f"one-of-many-{number:02}" for number in range(40)]
    specs = [StoreSpec(handle, orders=3, plan="Enterprise") for handle in handles]
    with SandboxProcess(specs, tmp_path / "stores") as sandbox:
        shops = [Shop(sandbox, handle) for handle in handles]
        location.connect(*shops)
        results = location.pipeline.syncer.sync_tenants(location.installation.tenants(), SyncRequest(["orders"]))
        assert [result for result in results if isinstance(result, StreamFailure)] == []
        request = TransformRequest([shop.handle for shop in shops])
        assert not transform(location.pipeline.database, location.pipeline.dbt_project, request).failures
        yield shops


@pytest.mark.thorough
def test_a_tick_with_events_of_forty_tenants_starts_one_run_and_one_invocation_of_dbt(
    location: Location, many: list[Shop]
) -> None:
    for shop in many:
        (order,) = shop.control.place_order()["orders"]
        tell(location.installation.database, shop, ("orders/create", {"id": order}))
    sensor, resources = location.definitions.resolve_sensor_def("webhooks"), location.definitions.resources
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        (request,) = sensor.evaluate_tick(context).run_requests or []

    made: list[str] = []
    job = events_job(location, on_node=lambda name, _number, _total: made.append(name))
    assert job.execute_in_process(instance=location.instance, tags=request.tags).success
    assert "fct_orders" in made
    assert len(made) == len(set(made)), "a model was made twice"
    assert states(location.installation) == [("in the marts", 0, None)] * len(many)


@pytest.mark.thorough
def test_no_event_waits_for_a_run_whose_process_was_killed(location: Location, pair: list[str], shop: Shop) -> None:
    (order,) = shop.control.place_order()["orders"]
    tell(location.installation.database, shop, ("orders/create", {"id": order}))
    alive = location.run_in_another_process(EVENTS_JOB)
    sensor, resources = location.definitions.resolve_sensor_def("webhooks"), location.definitions.resources
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        assert isinstance(sensor(context), dg.SkipReason)
    alive.communicate()
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        assert len(sensor.evaluate_tick(context).run_requests or []) == 1


@pytest.mark.thorough
def test_a_run_that_could_not_read_one_tenant_lands_the_others_and_fails_naming_it(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    for each in (shop, other_shop):
        (order,) = each.control.place_order()["orders"]
        tell(location.installation.database, each, ("orders/create", {"id": order}))
    shop.control.set_tokens("shpat_another")
    job = location.definitions.resolve_job_def(EVENTS_JOB)
    result = job.execute_in_process(instance=location.instance, raise_on_error=False)

    assert location.statuses()[0] == dg.DagsterRunStatus.FAILURE
    (failed,) = result.get_step_failure_events()
    assert failed.step_key == "take_events"
    assert shop.handle in failed.step_failure_data.error_display_string
    assert [status for status, _, _ in states(location.installation)] == ["to be tried again", "in the marts"]


@pytest.mark.thorough
def test_what_a_dead_run_had_read_is_transformed_by_the_next(location: Location, pair: list[str], shop: Shop) -> None:
    (order,) = shop.control.place_order()["orders"]
    tell(location.installation.database, shop, ("orders/create", {"id": order}))
    # As a run leaves it that is killed between the two halves of a batch.
    read(location.installation, *location.installation.tenants())
    assert states(location.installation) == [("in raw", 0, None)]

    job = location.definitions.resolve_job_def(EVENTS_JOB)
    assert job.execute_in_process(instance=location.instance).success
    assert states(location.installation) == [("in the marts", 0, None)]
    assert location.installation.value("select count(*) from marts.fct_orders where order_id = %s", order) == 1


class During:
    """Something that happens once, while the first batch of a run is transformed."""

    def __init__(self, happen: Callable[[], None]) -> None:
        self._happen: Callable[[], None] | None = happen

    def __call__(self, _name: str, _number: int, _total: int) -> None:
        happen, self._happen = self._happen, None
        if happen is not None:
            happen()


def test_a_run_takes_what_comes_meanwhile_and_records_each_batch(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    def order(at: Shop) -> None:
        tell(location.installation.database, at, ("orders/create", {"id": at.control.place_order()["orders"][0]}))

    order(shop)
    job = events_job(location, on_node=During(lambda: order(other_shop)))
    before = location.installation.value("select count(*) from marts.fct_orders")
    result = job.execute_in_process(instance=location.instance)

    assert result.success
    assert location.installation.value("select count(*) from marts.fct_orders") == before + 2
    assert states(location.installation) == [("in the marts", 0, None)] * 2
    recorded = location.instance.fetch_materializations(dg.AssetKey(["marts", "fct_orders"]), limit=2).records
    assert {(record.run_id, str(record.partition_key)) for record in recorded} == {
        (result.run_id, each.handle) for each in (shop, other_shop)
    }


@pytest.mark.thorough
@pytest.mark.parametrize("last", ["fails", "succeeds"])
def test_a_run_fails_for_the_tenants_whose_last_batch_failed(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop, last: str
) -> None:
    """The other one failed in a batch that was not the last: it is no failure of the run any more."""

    def tell_of(*shops: Shop) -> None:
        for each in shops:
            (order,) = each.control.place_order()["orders"]
            tell(location.installation.database, each, ("orders/create", {"id": order}))

    def happen() -> None:
        shop.control.set_tokens("shpat_another" if last == "fails" else DEFAULT_TOKEN)
        make_due(location.installation)
        tell_of(shop)

    tell_of(shop, other_shop)
    if last == "succeeds":
        shop.control.set_tokens("shpat_another")
    job = events_job(location, on_node=During(happen))
    result = job.execute_in_process(instance=location.instance, raise_on_error=False)

    assert result.success == (last == "succeeds")
    failed = location.installation.query("select tenant_id from ops.run_failures")
    assert failed == ([(shop.handle,)] if last == "fails" else [])
    named = list(step_failure_metadata(location.instance, result.run_id, FAILED_TENANTS))
    assert [list(each) for each in named] == ([[shop.handle]] if last == "fails" else [])
    assert location.installation.value("select count(*) from ops.webhook_inbox where in_marts_at is null") == (
        1 if last == "fails" else 0
    )


def events_job(location: Location, on_node: NodeSink) -> dg.JobDefinition:
    """The job, with something that is called for each model that it has made."""
    pipeline = replace(location.pipeline, on_node=on_node)
    return build_defs(pipeline.settings, pipeline=PipelineResource.of(pipeline)).resolve_job_def(EVENTS_JOB)
