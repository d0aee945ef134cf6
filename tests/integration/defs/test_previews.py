"""A mart's page previews a tenant's figures in plots and tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs.assets import previews
from xeno_pipeline.defs.assets.charts import MAX_INLINE_LENGTH, against_diagonal, bars
from xeno_pipeline.defs.jobs.names import SYNC_JOB, TRANSFORM_JOB

pytestmark = pytest.mark.thorough

PLOTS = {"revenue_daily": "last_90_days", "rfm_scores": "customers_by_score", "cohort_retention": "retention"}
TABLES = {
    "revenue_trends": "last_12_months",
    "rfm_segments": "segments",
    "top_products": "top_10",
    "tenant_overview": "figures",
}


def shown(location: Location, mart: str, tenant: str) -> dict[str, object]:
    return location.materialized(dg.AssetKey(["marts", mart]))[tenant]


def heights(markdown: str) -> list[int]:
    """Of the bars of an image, downwards from its upper edge."""
    encoded = re.search(r"\(data:image/svg\+xml,([^)]+)\)", markdown)
    assert encoded is not None
    (path,) = ElementTree.fromstring(unquote(encoded[1]))
    return [int(height) for height in re.findall(r"V(\d+)h1", path.attrib["d"])]


def test_bars_have_the_height_of_their_values_and_negative_ones_go_down() -> None:
    assert heights(bars("sales", [0, 50, 100, -98])) == [50, 25, 0, 99]
    assert heights(bars("sales", [0, 0])) == [0, 0]


def test_points_lie_across_and_up_and_on_the_diagonal_where_both_are_equal() -> None:
    image = against_diagonal("shares", [(0.0, 0.5), (0.2, 0.2), (0.5, 0.0)], end=0.5)
    encoded = re.search(r"\(data:image/svg\+xml,([^)]+)\)", image)
    assert encoded is not None
    diagonal, dots = (path.attrib["d"] for path in ElementTree.fromstring(unquote(encoded[1])))
    assert diagonal.endswith("M0 99L99 0")
    assert dots == "M0 0h0M40 59h0M99 99h0"


def test_a_new_tenants_marts_show_its_figures_without_a_click(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success

    for mart, name in PLOTS.items():
        assert len(str(shown(location, mart, shop.handle)[name])) <= MAX_INLINE_LENGTH
    for mart, name in TABLES.items():
        assert shown(location, mart, shop.handle)[name], mart

    assert len(heights(str(shown(location, "revenue_daily", shop.handle)["last_90_days"]))) > 30
    customers = location.installation.value("select count(*) from marts.rfm_scores where tenant_id = %s", shop.handle)
    grid = str(shown(location, "rfm_scores", shop.handle)["customers_by_score"])
    assert sum(int(cell) for cell in re.findall(r"[░▒▓█]\s(\d+)", grid)) == customers


def test_what_changes_by_the_minute_shows_figures_of_some_minutes_ago_at_most(
    location: Location, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To draw them takes longer than the change of a large store."""

    def after_one_more_order() -> dict[str, object]:
        shop.control.place_order()
        assert location.run(SYNC_JOB, "extract_tenants").success
        return shown(location, "revenue_daily", shop.handle)

    location.connect(shop)
    first, second = after_one_more_order(), after_one_more_order()
    assert first["last_90_days"] == second["last_90_days"]
    assert first["drawn_at"] == second["drawn_at"]

    monkeypatch.setattr(previews, "REDRAWN_AFTER", timedelta(0))
    assert after_one_more_order()["last_90_days"] != first["last_90_days"]


def test_at_the_turn_of_the_day_all_figures_are_drawn_again(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    drawn_at = shown(location, "revenue_daily", shop.handle)["drawn_at"]
    a_new_day = datetime.now(UTC).date() + timedelta(days=2)  # in any time zone
    assert location.run(TRANSFORM_JOB, "build_marts", as_of=str(a_new_day)).success
    assert shown(location, "revenue_daily", shop.handle)["drawn_at"] != drawn_at


def test_a_backfill_shows_the_figures_of_each_of_its_tenants(location: Location, shop: Shop, other_shop: Shop) -> None:
    location.connect(shop, other_shop)
    assert location.run(SYNC_JOB, "extract_tenants", transform=False).success
    mart = dg.AssetKey(["marts", "rfm_scores"])
    assert location.backfill([shop.handle, other_shop.handle], mart).success
    pictures = {shown(location, "rfm_scores", each.handle)["customers_by_score"] for each in (shop, other_shop)}
    assert len(pictures) == 2
