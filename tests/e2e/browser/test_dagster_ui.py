"""The Dagster UI in a real browser, over `make dev` after `make demo`: what a data engineer looks at, and a backfill.

Each page is photographed, which fails where it tells of an error.
"""

from __future__ import annotations

import re

import pytest

from shopify_sandbox.spec import demo_specs
from tests.support.ui_page import Page

TENANTS = [spec.handle for spec in demo_specs()]
CHECK_SECONDS = 180
"""A run: a process of its own that imports Dagster and dbt, while other tests compete for two cores."""
BACKFILL_SECONDS = 600
"""Some runs, one after another; the first reads the histories of all stores."""

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]


def test_the_graph_reads_from_shopify_to_the_marts(page: Page) -> None:
    page.go("/asset-groups")
    page.wait_for("shopify", "raw", "staging", "intermediate", "marts")
    page.photograph("graph")


def test_each_tenant_is_a_partition(page: Page) -> None:
    page.go("/assets/marts/revenue_daily?view=partitions")
    page.wait_for(*TENANTS, f"Materialized ({len(TENANTS)})", "Failed (0)", "Missing (0)")
    page.photograph("partitions")


def test_the_columns_of_a_mart_lead_back_to_fields_of_shopify(page: Page) -> None:
    page.go("/assets/marts/revenue_daily?view=overview")
    page.wait_for("Columns", "gross_sales + discounts + returns", "Sale.totalAmount.shopMoney.amount")
    page.photograph("lineage")
    for link in (
        "intermediate.int_daily_sales.net_sales",
        "marts.fct_sales.net_sales",
        "intermediate.int_sales.net_sales",
        "staging.stg_shopify__order_sales.total_amount",
        "raw.order_sales.total_amount",
    ):
        page.follow(link)
        page.wait_for("Columns", link.rpartition(".")[2])
    assert "Sale.totalAmount.shopMoney.amount" in page.text()


@pytest.mark.parametrize("tenant", TENANTS)
def test_a_marts_page_shows_the_revenue_of_each_tenant_as_a_plot(page: Page, tenant: str) -> None:
    page.go(f"/assets/marts/revenue_daily?view=partitions&partition={tenant}")
    page.wait_for("Net sales by day", "drawn_at")
    page.photograph("revenue_daily")
    (width,) = page.images()
    assert width > 0


@pytest.mark.parametrize(
    ("mart", "words"),
    [
        ("rfm_scores", ("Customers by recency and frequency", "R5", "F5")),
        ("cohort_retention", ("Customers who ordered again", "%")),
    ],
)
def test_a_marts_page_shows_its_grid(page: Page, mart: str, words: tuple[str, ...]) -> None:
    page.go(f"/assets/marts/{mart}?view=partitions&partition={TENANTS[0]}")
    shown = page.wait_for(*words, "drawn_at")
    page.photograph(mart)
    assert len(re.findall(r"[░▒▓█]\s\d", shown)) > 20


def test_a_marts_page_links_to_its_model(page: Page) -> None:
    page.go("/assets/marts/revenue_daily")
    page.wait_for("in editor")
    page.photograph("source")
    assert any(target.endswith("/revenue_daily.sql:1") for target in page.links())


def test_a_marts_checks_are_evaluated_from_its_page(page: Page) -> None:
    page.go("/assets/marts/revenue_daily?view=checks")
    page.click("Execute all")
    page.wait_for("In Progress")  # the schedule may have evaluated them before
    page.wait_for("No active tenant has a problem.", "Passed", without="In Progress", seconds=CHECK_SECONDS)
    page.photograph("checks")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/automation", ("hourly_sync", "nightly_reconciliation", "webhooks", "alerts")),
        ("/locations/xeno_pipeline/schedules/hourly_sync", ("At 7 minutes past the hour", "Running")),
        ("/locations/xeno_pipeline/sensors/webhooks", ("0 runs requested", "Running")),
    ],
)
def test_schedules_and_sensors_are_on_and_say_what_they_did(page: Page, path: str, words: tuple[str, ...]) -> None:
    page.go(path)
    page.wait_for(*words)
    page.photograph(path.rpartition("/")[2])


def test_a_backfill_of_all_tenants_started_from_the_page_succeeds(page: Page) -> None:
    page.go("/asset-groups")
    page.click("Materialize all")
    page.click("All")
    page.wait_for(f"{len(TENANTS)} partitions")
    page.photograph("launching")
    page.click("Launch backfill")
    page.wait_for("ed backfill")  # Launched or created: the browser may leave the page now
    page.go("/runs?view=backfills")
    page.wait_for("Success", seconds=BACKFILL_SECONDS)
    page.photograph("backfill")
    page.go("/assets/marts/revenue_daily?view=partitions")
    page.wait_for(f"Materialized ({len(TENANTS)})", "Missing (0)")
