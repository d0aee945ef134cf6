"""A store that a merchant has connected is read without a further step."""

from __future__ import annotations

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.tenants import backfills, registry

pytestmark = pytest.mark.thorough


@pytest.fixture
def waiting(location: Location, shop: Shop, other_shop: Shop) -> list[str]:
    """Two tenants that were connected and are yet to be read."""
    handles = sorted([shop.handle, other_shop.handle])
    for each in (shop, other_shop):
        location.installation.connect(each)
    with location.installation.database.connect() as connection:
        for handle in handles:
            backfills.request(connection, handle)
    return handles


def tick(location: Location) -> dg.RunRequest | None:
    """The run that the sensor asks for; None where it asks for none."""
    sensor = location.definitions.resolve_sensor_def("connected_stores")
    resources = location.definitions.resources
    assert resources is not None
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        answer = sensor(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer if isinstance(answer, dg.RunRequest) else None


def run(location: Location, request: dg.RunRequest) -> bool:
    """Run what was asked for, as the daemon would."""
    job = location.definitions.resolve_job_def(SYNC_JOB)
    return job.execute_in_process(
        instance=location.instance, run_config=request.run_config, raise_on_error=False
    ).success


def requests(location: Location) -> list[tuple[object, ...]]:
    return location.installation.query("select tenant_id, attempts from ops.backfill_requests order by tenant_id")


def test_one_run_reads_all_connected_stores_and_each_gets_its_partition(location: Location, waiting: list[str]) -> None:
    request = tick(location)
    assert request is not None
    assert request.run_config["ops"]["extract_tenants"]["config"]["tenants"] == waiting

    assert run(location, request)

    assert requests(location) == []
    assert sorted(location.instance.get_dynamic_partitions("tenants")) == waiting
    in_marts = location.installation.query("select distinct tenant_id from marts.fct_orders order by 1")
    assert [tenant for (tenant,) in in_marts] == waiting
    assert tick(location) is None


def test_a_store_that_is_connected_again_within_the_hour_is_read_again(location: Location, waiting: list[str]) -> None:
    first = tick(location)
    with location.installation.database.connect() as connection:
        backfills.complete(connection, waiting)
        for handle in waiting:
            backfills.request(connection, handle)
    second = tick(location)
    assert first is not None
    assert second is not None
    assert second.run_key != first.run_key  # Dagster starts one run for a key, for ever


def test_a_store_that_cannot_be_read_is_tried_again_later_and_holds_up_no_other(
    location: Location, waiting: list[str], shop: Shop
) -> None:
    shop.control.set_tokens("shpat_another")
    request = tick(location)
    assert request is not None
    assert not run(location, request)

    assert requests(location) == [(shop.handle, 1)]
    assert tick(location) is None  # not yet
    location.installation.query("update ops.backfill_requests set due_at = now() returning 1")
    again = tick(location)
    assert again is not None
    assert again.run_key != request.run_key


def test_a_store_whose_run_is_under_way_is_not_read_twice_and_keeps_no_other_waiting(
    location: Location, waiting: list[str]
) -> None:
    first = tick(location)
    assert first is not None
    config = {"ops": {"extract_tenants": {"config": {"tenants": waiting[:1]}}}}
    job = location.definitions.resolve_job_def(SYNC_JOB)
    location.instance.create_run_for_job(job_def=job, run_config=config, status=dg.DagsterRunStatus.STARTED)

    second = tick(location)

    assert second is not None
    assert second.run_config["ops"]["extract_tenants"]["config"]["tenants"] == waiting[1:]


def test_a_suspended_tenant_waits_until_it_is_resumed(location: Location, waiting: list[str]) -> None:
    with location.installation.database.connect() as connection:
        for handle in waiting:
            registry.set_status(connection, handle, "suspended")
    assert tick(location) is None
