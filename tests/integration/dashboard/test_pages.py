"""Customers, RFM, retention, churn, products, checkouts: what pages show is what the marts hold."""

from __future__ import annotations

import csv
import re
from contextlib import ExitStack
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dashboard import Dashboard, Visitor, dashboard_over
from xeno_pipeline.access.grants import end_sessions
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.dashboard import listings
from xeno_pipeline.dashboard.downloads import values_of
from xeno_pipeline.web import downloads
from xeno_pipeline.web.downloads import one_download

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


def test_every_table_is_a_file_and_has_the_link_to_it(analyst: Visitor, viewer: Visitor, marts: Warehouse) -> None:
    """By the links of the pages and of their parts: whatever is shown as a table or a chart has one."""
    customer, order = marts.query(
        "select customer_id, order_id from marts.fct_orders where tenant_id = 'shelf' "
        "and customer_id is not null limit 1"
    )[0]
    pages = [f"/stores/shelf{path}" for path in (*PAGES, *PARTS, f"/customers/{customer}", f"/orders/{order}")]
    parts = [f"/stores/shelf/customers/{customer}/parts/{part}" for part in ("orders", "timeline")]
    links: set[str] = set()
    for page in ("/stores", *pages, *parts):
        text = analyst.read(page)
        links.update(unescape(link) for link in re.findall(r'href="([^"]+)" download', text))
    assert len(links) > 20
    for link in links:
        for visitor in (analyst, viewer):
            response = visitor.get(link)
            assert response.status_code == 200, link
            assert response.headers["content-type"] == "text/csv; charset=utf-8"
            assert response.text.splitlines()[0].count(",") >= 1, link
        assert "@" not in viewer.get(link).text, link


def test_a_long_list_is_sent_page_by_page_in_the_order_of_the_table(
    analyst: Visitor, dashboard: Dashboard, marts: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "MAX_ROWS", 7)
    for path, table in (("customers", "dim_customers"), ("ledger", "fct_sales")):
        span = {"from": "2020-01-01", "to": "2030-12-31"} if path == "ledger" else {"sort": "-net_sales"}
        rows = rows_of(analyst, f"/stores/shelf/{path}", **span)
        assert len(rows) == marts.value(f"select count(*) from marts.{table} where tenant_id = 'shelf'")
        values = [row["happened_at"] if path == "ledger" else Decimal(row["net_sales"]) for row in rows]
        assert values == sorted(values, reverse=True)
    with ExitStack() as others:
        for _ in range(3):
            others.enter_context(one_download())
        assert analyst.get("/stores/shelf/customers", format="csv").status_code == 429
    assert downloads._UNDER_WAY._value == downloads._AT_ONCE


def test_a_long_list_ends_with_the_session(
    dashboard: Dashboard, marts: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "MAX_ROWS", 7)
    visitor = dashboard.sign_in(Role.VIEWER, "shelf", email="leaver@example.com")
    read = values_of

    def read_and_revoke(*arguments: Any) -> Any:
        with dashboard.database.connect() as connection:
            end_sessions(connection, "leaver@example.com")
        return read(*arguments)

    monkeypatch.setattr(listings, "values_of", read_and_revoke)
    lines = visitor.get("/stores/shelf/customers", format="csv").text.splitlines()
    assert len(lines) <= 8
    assert marts.value("select count(*) from marts.dim_customers where tenant_id = 'shelf'") > 8


def test_returns_are_found_and_what_they_did_to_their_day(viewer: Visitor, marts: Warehouse) -> None:
    whole = {"from": "2020-01-01", "to": "2030-12-31"}
    rows = rows_of(viewer, "/stores/shelf/ledger", **whole, only="returns")
    wanted = "select count(*), max(happened_on) from marts.fct_sales where tenant_id = 'shelf' and returns <> 0"
    count, last = marts.query(wanted)[0]
    assert (len(rows), rows[0]["happened_on"]) == (count, str(last))
    page = viewer.read("/stores/shelf/ledger", **whole, only="returns")
    assert f"/stores/shelf/ledger?from={last}&to={last}" in page
    assert "Returns and refunds took" in viewer.read("/stores/shelf/ledger", **{"from": last, "to": last})


def test_checks_that_fail_say_so_to_everybody_and_what_to_run_to_operators(
    dashboard: Dashboard, viewer: Visitor, marts: Warehouse
) -> None:
    operator = dashboard.sign_in(Role.OPERATOR)
    assert "No check fails" in viewer.read("/stores/shelf/data")
    marts.execute(
        "insert into ops.alerts (kind, subject, tenant_id, message, command, since, last_at) values "
        "('is_fresh', 'raw.orders', 'shelf', 'orders: last synced yesterday', 'xeno sync shelf', now(), now()), "
        "('is_fresh', 'raw.orders', 'void', 'of another store', 'xeno sync void', now(), now()), "
        "('alerting', 'a step', '', 'of no store', 'xeno doctor', now(), now())"
    )
    try:
        page, operators = viewer.read("/stores/shelf/data"), operator.read("/stores/shelf/data")
        assert "was not read for over three hours" in page
        assert "xeno sync" not in page + viewer.get("/stores/shelf/data?format=csv&table=problems").text
        assert "xeno sync shelf" in operators
        assert "1 problem" in viewer.read("/stores")
        for text in (page, operators, viewer.read("/stores")):
            assert "of another store" not in text
            assert "of no store" not in text
        marts.execute("update ops.alerts set quiet_at = now()")
        assert "No check fails" in viewer.read("/stores/shelf/data")
    finally:
        marts.execute("delete from ops.alerts")


def test_operators_find_the_store_in_dagster_where_that_is_known(marts: Warehouse, viewer: Visitor) -> None:
    with dashboard_over(marts.database, dagster_url="https://dagster.example.com/") as dashboard:
        link = "https://dagster.example.com/assets/marts/tenant_overview?view=partitions&partition=shelf"
        assert link in dashboard.sign_in(Role.OPERATOR).read("/stores/shelf/data")
        assert "dagster.example.com" not in dashboard.sign_in(Role.VIEWER).read("/stores/shelf/data")
    assert "Dagster</a>" not in viewer.read("/stores/shelf/data")


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
