"""The graph that a data engineer sees: every mart reaches back to Shopify, and tenants are its partitions."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from tests.support.location import Location
from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.code_references import METADATA_KEY
from xeno_pipeline.defs.partitions import TENANTS, align_partitions
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.settings import PROJECT_DIR, load_settings
from xeno_pipeline.tenants import registry

CONTRACT = {
    *("dim_tenants", "dim_customers", "dim_products", "dim_product_variants", "fct_orders", "fct_order_lines"),
    *("fct_sales", "revenue_daily", "rfm_scores", "cohort_retention"),
}


LAYERS = {"shopify", "raw", "staging", "intermediate", "marts"}


@pytest.fixture
def graph(location: Location):
    return location.definitions.resolve_asset_graph()


def test_the_marts_of_the_contract_are_assets(graph) -> None:
    assert {key.path[-1] for key in graph.get_all_asset_keys() if key.path[0] == "marts"} >= CONTRACT


def test_every_mart_is_made_from_what_shopify_holds(graph) -> None:
    for key in graph.get_all_asset_keys():
        if key.path[0] == "marts":
            above = {ancestor.path[0] for ancestor in graph.get_ancestor_asset_keys(key)}
            assert {"shopify", "raw", "staging"} <= above, key


def test_every_raw_table_is_an_asset_below_shopify(graph) -> None:
    for table in RAW_TABLES:
        parents = graph.get(dg.AssetKey(["raw", table.name])).parent_keys
        assert [parent.path[0] for parent in parents] == ["shopify"]


def test_every_asset_is_partitioned_by_tenant_and_says_what_it_is(graph) -> None:
    for key in graph.materializable_asset_keys | {
        key for key in graph.get_all_asset_keys() if key.path[0] == "shopify"
    }:
        node = graph.get(key)
        assert node.partitions_def == TENANTS, key
        assert node.description, key
        assert node.group_name == key.path[0], key


def test_backfills_take_tenants_in_batches(graph) -> None:
    sizes = {
        layer: graph.get(dg.AssetKey([layer, asset])).backfill_policy.max_partitions_per_run
        for layer, asset in (("raw", "orders"), ("marts", "fct_orders"))
    }
    assert sizes == {"raw": 10, "marts": 50}


def test_partitions_follow_the_registry(location: Location, shop, other_shop) -> None:
    def partitions() -> set[str]:
        return set(location.instance.get_dynamic_partitions("tenants"))

    location.connect(shop, other_shop)
    assert partitions() == {shop.handle, other_shop.handle}

    with location.installation.database.connect() as connection:
        registry.set_status(connection, shop.handle, "suspended")
    align_partitions(location.instance, location.installation.database)
    assert partitions() == {other_shop.handle}


def test_assets_and_jobs_link_to_their_source(location: Location) -> None:
    settings = load_settings()
    linked = settings.model_copy(
        update={"source_url": "https://example.com/blob/main/", "owners": "team:analytics, ana@example.com"}
    )
    local, remote = (build_defs(each) for each in (settings, linked))
    defined = [key for key in remote.resolve_asset_graph().get_all_asset_keys() if key.path[0] in LAYERS]
    assert len(defined) > 50
    for key in defined:
        here, there = (each.resolve_asset_graph().get(key) for each in (local, remote))
        files = [reference.file_path for reference in here.metadata[METADATA_KEY].code_references]
        urls = [reference.url for reference in there.metadata[METADATA_KEY].code_references]
        assert urls == [f"https://example.com/blob/main/{Path(each).relative_to(PROJECT_DIR)}" for each in files]
        assert files
        assert all(Path(each).is_file() for each in files), key
        assert (here.owners, there.owners) == ([], ["team:analytics", "ana@example.com"])
    assert remote.resolve_job_def("sync").metadata["source"].value == (
        "https://example.com/blob/main/xeno_pipeline/defs/jobs/sync.py"
    )
