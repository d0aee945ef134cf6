"""Segments that were saved, changed or removed have their members in the marts without waiting for a sync."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.registered import register
from xeno_pipeline.defs.concurrency import LANE_TAG, REQUESTED, ROUTINE
from xeno_pipeline.defs.jobs.names import TRANSFORM_JOB
from xeno_pipeline.segments.registry import find_segment, remove_segment, save_segment
from xeno_pipeline.tenants import registry

pytestmark = pytest.mark.thorough

EVERYBODY = "number_of_orders >= 0"


def tick(location: Location) -> dg.RunRequest | None:
    """The run that the sensor requests."""
    sensor = location.definitions.resolve_sensor_def("changed_segments")
    resources = location.definitions.resources
    assert resources is not None
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        answer: Any = sensor(context)
    return answer if isinstance(answer, dg.RunRequest) else None


def tenants_of(request: dg.RunRequest | None) -> list[str]:
    tenants: list[str] = request.run_config["ops"]["build_marts"]["config"]["tenants"] if request else []
    return tenants


def save(location: Location, handle: str, name: str = "Everybody") -> None:
    with location.installation.database.connect() as connection:
        save_segment(connection, handle, name, EVERYBODY)


def members(location: Location, handle: str) -> int:
    found = "select count(*) from marts.segment_members where tenant_id = %s"
    ((count,),) = location.installation.query(found, handle)
    return int(count)


def run(location: Location, request: dg.RunRequest | None) -> bool:
    """Run what was requested, as the daemon would."""
    assert request is not None
    job = location.definitions.resolve_job_def(TRANSFORM_JOB)
    return job.execute_in_process(
        instance=location.instance, run_config=request.run_config, tags=dict(request.tags), raise_on_error=False
    ).success


def make(location: Location, *handles: str) -> bool:
    return location.run(TRANSFORM_JOB, "build_marts", tenants=list(handles)).success


def test_members_of_a_saved_and_of_a_removed_segment_are_determined_by_one_run_each(
    location: Location, shop: Shop
) -> None:
    location.installation.sync(location.installation.connect(shop))
    save(location, shop.handle)
    assert tick(location) is None, "a store without marts waits for its first sync"
    assert make(location, shop.handle)
    everybody = members(location, shop.handle)
    assert everybody > 0
    assert tick(location) is None

    save(location, shop.handle, "Again")
    request = tick(location)
    assert request is not None
    assert tenants_of(request) == [shop.handle]
    assert request.tags[LANE_TAG] == REQUESTED[LANE_TAG]
    assert run(location, request)
    assert members(location, shop.handle) == 2 * everybody
    assert tick(location) is None

    with location.installation.database.connect() as connection:
        remove_segment(connection, shop.handle, find_segment(connection, shop.handle, "Again").segment_id)
    again = tick(location)
    assert again is not None
    assert again.run_key != request.run_key
    assert run(location, again)
    assert members(location, shop.handle) == everybody


def test_one_run_takes_all_stores_but_those_that_a_run_takes_and_those_that_are_suspended(location: Location) -> None:
    handles = ("acme", "busy", "idle", "queued", "resting", "taken")
    register(location.installation.database, *handles)
    location.installation.execute(
        "insert into ops.tenant_marts (tenant_id, as_of_date, transformed_at, project_version, iana_timezone, "
        "currency, has_history) select tenant_id, current_date, now(), 'x', 'UTC', 'EUR', true from ops.tenants"
    )
    for handle in handles:
        if handle != "idle":
            save(location, handle)
    with location.installation.database.connect() as connection:
        registry.set_status(connection, "resting", "suspended")
    start(location, "busy", dg.DagsterRunStatus.STARTED)
    start(location, "queued", dg.DagsterRunStatus.NOT_STARTED)
    location.installation.execute(
        "with begun as (insert into ops.transforms (transform_id, tenant_id, as_of_date, iana_timezone, currency, "
        "is_whole, writes_history) values (gen_random_uuid(), 'taken', current_date, 'UTC', 'EUR', false, true) "
        "returning transform_id, tenant_id) "
        "update ops.changes set transform_id = begun.transform_id from begun where begun.tenant_id = changes.tenant_id"
    )

    request = tick(location)

    assert tenants_of(request) == ["acme", "queued"]
    again = tick(location)
    assert request is not None
    assert again is not None
    assert again.run_key == request.run_key, "a run that fails is not repeated"
    save(location, "acme", "Another")
    another = tick(location)
    assert another is not None
    assert another.run_key != request.run_key


def start(location: Location, handle: str, status: dg.DagsterRunStatus) -> None:
    config = {"ops": {"build_marts": {"config": {"tenants": [handle]}}}}
    job = location.definitions.resolve_job_def(TRANSFORM_JOB)
    location.instance.create_run_for_job(job_def=job, run_config=config, status=status, tags=ROUTINE)
