"""Tenants that are inactive when a run starts, or become so during the run, are skipped without a failure."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

# Dagster executes a run that was made before by no public name.
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.jobs import sync
from xeno_pipeline.defs.jobs.names import RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.offboarding import remove_tenant

pytestmark = pytest.mark.thorough

RAW_ORDERS = dg.AssetKey(["raw", "orders"])
REVENUE = dg.AssetKey(["marts", "revenue_daily"])


def suspend(location: Location, handle: str) -> None:
    with location.installation.database.connect() as connection:
        registry.set_status(connection, handle, "suspended")


def remove(location: Location, handle: str) -> None:
    with location.installation.database.connect() as connection:
        remove_tenant(connection, handle)


def last_log(location: Location) -> str:
    """What the log of the last run says."""
    (run, *_) = location.instance.get_runs(limit=1)
    return "\n".join(entry.user_message for entry in location.instance.all_logs(run.run_id))


@pytest.fixture
def pair(location: Location, shop: Shop, other_shop: Shop) -> list[str]:
    """Two tenants that were read."""
    location.connect(shop, other_shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    return [shop.handle, other_shop.handle]


@pytest.mark.parametrize(("go", "status"), [(suspend, "suspended"), (remove, "removed")])
def test_a_tenant_that_became_inactive_before_a_run_started_is_skipped(
    location: Location, pair: list[str], go: Callable[[Location, str], None], status: str
) -> None:
    inactive, stays = pair
    go(location, inactive)
    for job, op in (
        (SYNC_JOB, "extract_tenants"),
        (RECONCILE_JOB, "reconcile_tenants"),
        (TRANSFORM_JOB, "build_marts"),
    ):
        assert location.run(job, op, tenants=[inactive, stays, "unknown-store"]).success
        assert f"{inactive} is {status}: skipped." in last_log(location)
        assert "unknown-store is unknown: skipped." in last_log(location)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[inactive]).success
    assert "None of the requested tenants is active" in last_log(location)
    assert location.installation.query("select * from ops.run_failures") == []


def test_nothing_is_written_of_a_tenant_that_is_removed_during_a_run(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    inactive, stays = pair
    orders = "select count(*) from marts.fct_orders where tenant_id = %s"
    before = location.installation.value(orders, stays)
    for each in (shop, other_shop):
        each.control.place_order()
    read = sync.logging_progress  # type: ignore[attr-defined]

    def remove_first(syncer: Syncer, log: dg.DagsterLogManager) -> Syncer:
        """By now the run has chosen its tenants."""
        remove(location, inactive)
        return read(syncer, log)

    monkeypatch.setattr(sync, "logging_progress", remove_first)

    assert location.run(SYNC_JOB, "extract_tenants", tenants=[inactive, stays]).success

    assert f"{inactive} is removed: skipped." in last_log(location)
    for table in [f"raw.{table.name}" for table in RAW_TABLES] + ["ops.sync_state", "ops.changes", "marts.fct_orders"]:
        assert location.installation.value(f"select count(*) from {table} where tenant_id = %s", inactive) == 0
    assert location.installation.value(orders, stays) == before + 1


def backfill(location: Location, first: str, last: str, inactive: str, *selection: dg.AssetKey) -> dg.DagsterRun:
    """A run of a backfill of a range of partitions, one of which is deleted while the run waits in the queue."""
    job = location.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(selection))
    one = {"dagster/partition": first}
    many = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    run = location.instance.create_run_for_job(
        job, tags=one if first == last else many, asset_selection=frozenset(selection)
    )
    suspend(location, inactive)
    align_partitions(location.instance, location.installation.database)
    execute_run(InMemoryJob(job), run, location.instance, raise_on_error=False)
    found = location.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("place", "asset"),
    [
        pytest.param(0, RAW_ORDERS, id="first-raw"),
        pytest.param(1, REVENUE, id="last-marts"),
        pytest.param(1, RAW_ORDERS, id="last-raw", marks=pytest.mark.slow),
        pytest.param(0, REVENUE, id="first-marts", marks=pytest.mark.slow),
    ],
)
def test_a_backfill_whose_partition_was_deleted_lands_the_others_and_records_nothing_of_it(
    location: Location, pair: list[str], asset: dg.AssetKey, place: int
) -> None:
    first, last = location.instance.get_dynamic_partitions("tenants")
    inactive, stays = ((first, last), (last, first))[place]

    run = backfill(location, first, last, inactive, asset)

    assert run.status is dg.DagsterRunStatus.SUCCESS, last_log(location)
    assert f"{inactive} is suspended: skipped." in last_log(location)
    records = location.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    assert {record.partition_key for record in records} == {stays}


def test_a_run_of_one_partition_that_was_deleted_does_nothing_and_says_so(location: Location, pair: list[str]) -> None:
    inactive, _ = pair
    run = backfill(location, inactive, inactive, inactive, RAW_ORDERS, dg.AssetKey(["raw", "customers"]))
    assert run.status is dg.DagsterRunStatus.SUCCESS, last_log(location)
    assert "None of the requested tenants is active" in last_log(location)
