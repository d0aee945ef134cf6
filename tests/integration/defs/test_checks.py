"""Checks are evaluated for all tenants in one run, and each result names those that it fails for."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.jobs.names import CHECKS_JOB, DBT_TESTS_JOB, SYNC_JOB

pytestmark = pytest.mark.thorough

LAYERS = {"shopify", "raw", "staging", "intermediate", "marts"}


def test_every_layer_has_checks(location: Location) -> None:
    keys = location.definitions.resolve_asset_graph().asset_check_keys
    assert {key.asset_key.path[0] for key in keys} >= LAYERS


def test_one_run_evaluates_all_checks_and_names_the_tenants_that_fail(
    location: Location, shop: Shop, other_shop: Shop
) -> None:
    location.connect(shop, other_shop)
    location.installation.execute(
        "update ops.tenants set connected_at = now() - interval '2 days' where tenant_id = %s", shop.handle
    )
    job = location.definitions.resolve_job_def(CHECKS_JOB)
    result = job.execute_in_process(instance=location.instance)

    evaluations = {each.asset_check_key: each for each in result.get_asset_check_evaluations()}
    assert len(evaluations) > 50
    stale = evaluations[dg.AssetCheckKey(dg.AssetKey(["raw", "orders"]), "is_fresh")]
    assert (stale.passed, stale.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert stale.metadata["tenants"].value == [shop.handle]
    (row,) = stale.metadata["failing"].records  # type: ignore[attr-defined]
    assert row.data["finding"] == "orders: the history is not loaded yet"
    assert row.data["command"] == f"xeno sync {shop.handle}"

    failing = {key.name for key, evaluation in evaluations.items() if not evaluation.passed}
    assert failing == {"is_fresh"}


def test_the_check_of_a_model_reports_its_daily_dbt_tests(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    location.installation.execute("update intermediate.int_daily_sales set new_customers = new_customers + 1")
    assert location.definitions.resolve_job_def(DBT_TESTS_JOB).execute_in_process(instance=location.instance).success

    evaluations = location.definitions.resolve_job_def(CHECKS_JOB).execute_in_process(instance=location.instance)
    failing = {each.asset_key.path[-1] for each in evaluations.get_asset_check_evaluations() if not each.passed}
    assert failing == {"fct_orders", "revenue_trends"}


def test_checks_are_not_queued_behind_checks(location: Location) -> None:
    schedule = location.definitions.resolve_schedule_def("asset_checks")
    with dg.build_schedule_context(instance=location.instance, resources=location.definitions.resources) as context:
        assert not isinstance(schedule(context), dg.SkipReason)
        create_run_for_test(location.instance, CHECKS_JOB)
        assert isinstance(schedule(context), dg.SkipReason)
