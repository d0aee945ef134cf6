"""A mart's page shows a tenant's figures: plots and tables, where somebody may look at them."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from dagster import AssetKey

from tests.installation import Shop
from tests.orchestration.conftest import Location
from xeno_pipeline.orchestration.tenant_jobs import SYNC_JOB, TRANSFORM_JOB

PLOTS = {"revenue_daily": "last_90_days", "rfm_scores": "customers_by_score", "cohort_retention": "retention"}
TABLES = {
    "revenue_trends": "last_12_months",
    "rfm_segments": "segments",
    "top_products": "top_10",
    "tenant_overview": "figures",
}
MOST_BYTES = 20_000
"""Of a picture: each is kept with its event."""


def shown(location: Location, mart: str, tenant: str) -> dict[str, object]:
    return location.materialized(AssetKey(["marts", mart]))[tenant]


def test_a_new_tenants_marts_show_its_figures(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success

    for mart, name in PLOTS.items():
        markdown = str(shown(location, mart, shop.handle)[name])
        encoded = re.search(r"\(data:image/svg\+xml;base64,([^)]+)\)", markdown)
        assert encoded is not None
        assert len(ElementTree.fromstring(base64.b64decode(encoded[1]))) > 3
        assert len(markdown) < MOST_BYTES
    for mart, name in TABLES.items():
        assert shown(location, mart, shop.handle)[name], mart

    customers = location.installation.value("select count(*) from marts.rfm_scores where tenant_id = %s", shop.handle)
    grid = re.search(r"base64,([^)]+)", str(shown(location, "rfm_scores", shop.handle)["customers_by_score"]))
    assert grid is not None
    cells = [
        int(text.text or "")
        for text in ElementTree.fromstring(base64.b64decode(grid[1]))
        if (text.text or "").isdigit()
    ]
    assert sum(cells) == customers


def test_what_changes_by_the_minute_is_not_drawn_each_time_but_each_day(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    shop.control.place_order()
    assert location.run(SYNC_JOB, "extract_tenants").success
    assert "last_90_days" not in shown(location, "revenue_daily", shop.handle)

    a_new_day = datetime.now(UTC).date() + timedelta(days=2)  # in any time zone
    assert location.run(TRANSFORM_JOB, "build_marts", as_of=str(a_new_day)).success
    assert "last_90_days" in shown(location, "revenue_daily", shop.handle)


def test_a_backfill_shows_the_figures_of_each_of_its_tenants(location: Location, shop: Shop, other_shop: Shop) -> None:
    location.connect(shop, other_shop)
    assert location.run(SYNC_JOB, "extract_tenants", transform=False).success
    mart = AssetKey(["marts", "rfm_scores"])
    assert location.backfill([shop.handle, other_shop.handle], mart).success
    pictures = {shown(location, "rfm_scores", each.handle)["customers_by_score"] for each in (shop, other_shop)}
    assert len(pictures) == 2
