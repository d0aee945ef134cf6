"""Segments have as many members as the store counts for the same query."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.extraction.reconciliation import reconcile_tenants
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.monitoring.checks import SEGMENT_COUNTS, Finding, evaluate
from xeno_pipeline.segments import registry
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.credentials import KeyRing

QUERIES = (
    "number_of_orders > 1",
    "amount_spent BETWEEN 50 AND 400 OR amount_spent > 1000",
    "first_order_date < -60d AND last_order_date >= -300d",
    "customer_added_date > -6m",
    "customer_tags CONTAINS 'vip' OR customer_tags IS NULL",
    "customer_countries CONTAINS 'US' AND customer_language = 'en'",
    "customer_account_status != 'ENABLED'",
    "email_subscription_status = 'SUBSCRIBED' AND customer_email_domain IS NOT NULL",
    "rfm_group IS NULL OR rfm_group = 'LOYAL'",
    "abandoned_checkout_date >= -1y",
    "orders_placed MATCHES (date >= -6m, amount > 50)",
    "orders_placed NOT MATCHES (date >= -12m, count >= 2)",
    "products_purchased MATCHES (date >= -12m, sum_quantity > 2)",
)


@pytest.mark.thorough
def test_the_store_counts_the_members_that_the_marts_have(
    warehouse: Warehouse, ring: KeyRing, shop: Shop, tmp_path: Path
) -> None:
    installation = Installation(warehouse.database, ring, tmp_path)
    tenant = installation.connect(shop)
    installation.sync(tenant)
    with warehouse.database.connect() as connection:
        for number, query in enumerate(QUERIES):
            registry.save_segment(connection, tenant.tenant_id, f"{number}", query)
        registry.save_segment(connection, tenant.tenant_id, "Ours", "rfm_segment = 'LOST'")
    warehouse.transform()
    results = reconcile_tenants(Syncer(warehouse.database, ring, tmp_path), [tenant], ReconcileOptions())

    assert [result for result in results if isinstance(result, StreamFailure)] == []
    compared = warehouse.query(
        "select query, members_at_shopify, members_in_marts from ops.segments where compared_at is not null order by 1"
    )
    assert [query for query, _, _ in compared] == sorted(QUERIES)
    assert [row for row in compared if row[1] != row[2]] == []
    assert sum(at_shopify > 0 for _, at_shopify, _ in compared) > 8, compared
    assert _findings(warehouse) == []

    warehouse.execute("delete from marts.segment_history where segment_id = 1")
    reconcile_tenants(Syncer(warehouse.database, ring, tmp_path), [tenant], ReconcileOptions())
    (finding,) = _findings(warehouse)
    assert finding.tenant_id == tenant.tenant_id
    assert "for example number 1 with 0 instead of" in finding.message


def _findings(warehouse: Warehouse) -> list[Finding]:
    with warehouse.database.connect() as connection:
        return evaluate(connection, load_settings(), SEGMENT_COUNTS)
