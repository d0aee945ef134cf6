"""Customers, RFM, retention, churn, products, checkouts: what pages show is what the marts hold."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dashboard import Visitor

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

PAGES = ["", "/customers", "/rfm", "/retention", "/churn", "/products", "/checkouts", "/ledger", "/segments", "/data"]
PARTS = [
    "/parts/today",
    "/parts/best",
    "/rfm/parts/moves",
    "/churn/parts/at-stake",
    "/checkouts/parts/carts",
    "/data/parts/syncs",
]


def rows_of(visitor: Visitor, path: str, **query: Any) -> list[dict[str, str]]:
    response = visitor.get(path, **query, format="csv")
    assert response.status_code == 200, response.text[:500]
    return list(csv.DictReader(StringIO(response.text)))


def decimals(page: str, pattern: str) -> list[Decimal]:
    return [Decimal(value) for value in re.findall(pattern, page)]


@pytest.mark.parametrize("path", [*PAGES, *PARTS])
def test_every_page_is_there_for_everybody_and_for_stores_without_orders(
    analyst: Visitor, viewer: Visitor, path: str
) -> None:
    for visitor, store in ((analyst, "shelf"), (viewer, "shelf"), (analyst, "void")):
        page = visitor.read(f"/stores/{store}{path}")
        assert "style=" not in page
        assert "None" not in page
        if visitor is viewer:
            assert "@" not in page.replace("viewer1@example.com", "")


def test_all_customers_are_listed_by_pages_and_in_the_file(analyst: Visitor, marts: Warehouse) -> None:
    wanted = marts.query("select customer_id, net_sales from marts.dim_customers where tenant_id = 'shelf'")
    rows = rows_of(analyst, "/stores/shelf/customers")
    assert {int(row["customer_id"]): Decimal(row["net_sales"]) for row in rows} == dict(wanted)
    page = analyst.read("/stores/shelf/customers", sort="-net_sales")
    shown = decimals(page, r'<td class="n" data-value="([^"]+)"')
    assert shown == sorted((net_sales for _, net_sales in wanted), reverse=True)[: len(shown)]
    assert len(shown) == min(50, len(wanted))


def test_customers_are_searched_by_who_may_see_them(analyst: Visitor, viewer: Visitor, marts: Warehouse) -> None:
    customer_id, email = marts.query(
        "select customer_id, email from marts.dim_customers where tenant_id = 'shelf' and email is not null limit 1"
    )[0]
    path = "/stores/shelf/customers"
    assert str(customer_id) in [row["customer_id"] for row in rows_of(analyst, path, search=email[:-4].upper())]
    assert rows_of(viewer, path, search=email) == []
    assert "No customer fits." in analyst.read(path, search="%_nobody")


def test_a_cell_of_the_grid_opens_its_customers(viewer: Visitor, marts: Warehouse) -> None:
    page = viewer.read("/stores/shelf/rfm")
    cells = re.findall(r'href="([^"]+)"[^>]*data-cell="(\d)(\d)">(\d+)<', page)
    counted = "select count(*) from marts.rfm_scores where tenant_id = 'shelf'"
    assert sum(int(count) for *_, count in cells) == marts.value(counted)
    for address, recency, frequency, count in cells[:3]:
        rows = list(csv.DictReader(StringIO(viewer.get(f"{address}&format=csv").text)))
        assert len(rows) == int(count)
        assert {(row["recency_score"], row["frequency_score"]) for row in rows} == {(recency, frequency)}


def test_segments_sum_to_the_customers(viewer: Visitor, marts: Warehouse) -> None:
    rows = rows_of(viewer, "/stores/shelf/rfm")
    assert len(rows) == 11
    for row in rows:
        members = rows_of(viewer, "/stores/shelf/customers", rfm=row["rfm_segment"])
        assert len(members) == int(row["customers"])


@pytest.mark.parametrize(
    ("measure", "column"), [("retention", "retention_rate"), ("net_sales", "net_sales"), ("ltv", "ltv")]
)
def test_cohorts_equal_the_mart(viewer: Visitor, marts: Warehouse, measure: str, column: str) -> None:
    rows = rows_of(viewer, "/stores/shelf/retention", measure=measure)
    wanted = marts.query(
        f"select cohort_month, period_number, {column} from marts.cohort_retention where tenant_id = 'shelf'"
    )
    shown = {(row["cohort_month"], int(row["period_number"])): Decimal(row[column]) for row in rows}
    assert shown == {(str(month), number): value for month, number, value in wanted}
    assert "running" in viewer.read("/stores/shelf/retention", measure=measure)


def test_a_customers_page_has_what_is_known(analyst: Visitor, viewer: Visitor, marts: Warehouse) -> None:
    customer_id, net_sales, email = marts.query(
        "select customer_id, net_sales, email from marts.dim_customers "
        "where tenant_id = 'shelf' and email is not null order by net_sales desc limit 1"
    )[0]
    path = f"/stores/shelf/customers/{customer_id}"
    page = analyst.read(path)
    assert email in page
    assert decimals(page, r'data-value="([^"]+)"')[0] == net_sales
    assert email not in viewer.read(path)
    events = marts.value(
        "select count(*) from marts.customer_timeline where tenant_id = 'shelf' and customer_id = %s", customer_id
    )
    assert viewer.read(f"{path}/parts/timeline").count("<li ") == min(events, 20)
    assert "rel" not in viewer.read(f"{path}/parts/orders")
    assert viewer.get("/stores/shelf/customers/1").status_code == 404
    assert viewer.get("/stores/shelf/customers/1/parts/timeline").status_code == 404


def test_products_and_checkouts_equal_the_marts(viewer: Visitor, marts: Warehouse) -> None:
    whole: dict[str, Any] = {"from": "2020-01-01", "to": "2030-12-31"}
    products = rows_of(viewer, "/stores/shelf/products", **whole)
    wanted = "select product_id, net_sales from marts.top_products where tenant_id = 'shelf'"
    assert {int(row["product_id"]): Decimal(row["net_sales"]) for row in products} == dict(marts.query(wanted))
    checkouts = rows_of(viewer, "/stores/shelf/checkouts", **whole)
    counted = "select count(*) from marts.abandoned_checkouts where tenant_id = 'shelf'"
    assert len(checkouts) == marts.value(counted)
    states = [rows_of(viewer, "/stores/shelf/checkouts", **whole, state=state) for state in ("open", "recovered")]
    assert sum(map(len, states)) == len(checkouts)


@pytest.mark.parametrize(
    "address",
    [
        "/customers?query=drop table",
        "/customers?query=number_of_orders",
        "/customers?segment=x",
        "/customers?segment=99999999999999999999",
        "/customers?sort=email",
        "/customers?search=%00",
        "/customers?cursor=AAAA",
        "/retention?measure=luck",
    ],
)
def test_nonsense_is_answered_by_what_is_wrong(viewer: Visitor, address: str) -> None:
    assert viewer.get(f"/stores/shelf{address}").status_code == 400
