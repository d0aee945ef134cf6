"""Runs: native ones for backfills, and the job of any set of tenants; one tenant's failure fails only that tenant."""

from __future__ import annotations

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.assets.raw import STREAM_OF_TABLE
from xeno_pipeline.defs.instance import fail_dead_runs
from xeno_pipeline.defs.jobs.names import RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.raw.tables import ORDERS, RAW_TABLES, tree

RAW_ORDERS = dg.AssetKey(["raw", "orders"])
REVENUE = dg.AssetKey(["marts", "revenue_daily"])
ALL_RAW = [dg.AssetKey(["raw", table]) for table in STREAM_OF_TABLE]


def days_of(location: Location, shop: Shop) -> int:
    return location.installation.value("select count(*) from marts.revenue_daily where tenant_id = %s", shop.handle)


@pytest.fixture
def pair(location: Location, shop: Shop, other_shop: Shop) -> list[str]:
    """Two tenants, the first of which cannot be read by and by."""
    location.connect(shop, other_shop)
    return [shop.handle, other_shop.handle]


@pytest.mark.thorough
def test_a_backfill_reads_and_models_each_tenant_of_its_range(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    raw = location.backfill(pair, *ALL_RAW)
    models = location.definitions.resolve_asset_graph().materializable_asset_keys - set(ALL_RAW)
    marts = location.backfill(pair, *models)

    assert raw.success
    assert marts.success
    assert set(location.materialized(RAW_ORDERS)) == set(location.materialized(REVENUE)) == set(pair)
    assert days_of(location, shop) > 0
    assert days_of(location, other_shop) > 0


@pytest.mark.thorough
def test_a_materialization_reports_what_was_read_and_its_cost(location: Location, pair: list[str]) -> None:
    assert location.backfill(pair, *ALL_RAW).success
    metadata = location.materialized(RAW_ORDERS)[pair[0]]
    assert metadata["dagster/row_count"] == metadata["rows_inserted"] > 50
    assert metadata["read_by"] == "bulk"
    assert metadata["bytes_received"] > 10_000
    assert metadata["api_points_used"] > 0
    assert metadata["seconds_waiting_for_shopify"] >= 0
    assert metadata["cursor_before"] == "none"
    assert metadata["cursor_after"].startswith("20")


def test_a_part_of_the_raw_assets_reads_only_its_streams(location: Location, pair: list[str]) -> None:
    assert location.backfill(pair, RAW_ORDERS).success
    counts = {table.name: location.installation.value(f"select count(*) from raw.{table.name}") for table in RAW_TABLES}
    filled = {name for name, count in counts.items() if count}
    assert "orders" in filled
    assert filled <= {"shops", *(table.name for table in tree(ORDERS))}  # a store's own facts come first, always


@pytest.mark.thorough
def test_in_a_backfill_one_tenants_failure_fails_only_that_tenant(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    shop.control.set_tokens("shpat_another")
    result = location.backfill(pair, *ALL_RAW)

    assert not result.success
    assert set(location.materialized(RAW_ORDERS)) == {other_shop.handle}
    (failed,) = result.get_step_failure_events()
    assert shop.handle in failed.step_failure_data.error_display_string
    assert other_shop.handle not in failed.step_failure_data.error_display_string


def test_the_sync_job_lands_healthy_tenants_and_then_fails_naming_the_others(
    location: Location, pair: list[str], shop: Shop, other_shop: Shop
) -> None:
    shop.control.set_tokens("shpat_another")
    result = location.run(SYNC_JOB, "extract_tenants", tenants=pair)

    assert location.statuses() == [dg.DagsterRunStatus.FAILURE]
    (failed,) = result.get_step_failure_events()
    assert failed.step_key == "report_failures"
    assert shop.handle in failed.step_failure_data.error_display_string
    assert days_of(location, other_shop) > 0
    assert set(location.materialized(REVENUE)) == {other_shop.handle}


@pytest.mark.thorough
def test_what_a_reconciliation_refreshes_is_in_the_marts_when_it_ends(
    location: Location, pair: list[str], shop: Shop
) -> None:
    assert location.run(SYNC_JOB, "extract_tenants", tenants=pair).success
    customer = location.installation.value("select min(id) from raw.customers where tenant_id = %s", shop.handle)
    shop.control.set_rfm_group(customer, "DORMANT")

    assert location.run(RECONCILE_JOB, "reconcile_tenants", tenants=[shop.handle], full=True).success

    shown = "select shopify_rfm_group from marts.dim_customers where customer_id = %s and tenant_id = %s"
    assert location.installation.value(shown, customer, shop.handle) == "DORMANT"


@pytest.mark.thorough
def test_a_second_sync_records_only_what_changed(location: Location, pair: list[str], shop: Shop) -> None:
    def run_ids() -> dict[str, str]:
        events = location.instance.fetch_materializations(REVENUE, limit=10).records
        return {str(event.partition_key): event.run_id for event in reversed(events)}

    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success
    first = run_ids()
    shop.control.place_order()
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[]).success
    second = run_ids()
    assert {tenant for tenant in pair if first[tenant] != second[tenant]} == {shop.handle}


def test_the_transform_job_says_which_date_is_none(location: Location, pair: list[str]) -> None:
    result = location.run(TRANSFORM_JOB, "build_marts", as_of="yesterday")
    (failed,) = result.get_step_failure_events()
    assert "'yesterday' is not a date" in failed.step_failure_data.error_display_string


def test_a_run_whose_process_was_killed_is_marked_as_failed(location: Location) -> None:
    location.run_in_another_process(TRANSFORM_JOB).communicate()

    fail_dead_runs(location.instance)

    assert location.statuses() == [dg.DagsterRunStatus.FAILURE]
