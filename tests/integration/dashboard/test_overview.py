"""The overview: its figures are those of the marts, and lead to the entries behind them."""

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

WHOLE: dict[str, Any] = {"from": "2020-01-01", "to": "2030-12-31"}
SUMS = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales")


def values(page: str) -> list[str]:
    return re.findall(r'data-value="([^"]*)"', page)


def test_figures_equal_the_mart(analyst: Visitor, marts: Warehouse) -> None:
    page = analyst.read("/stores/shelf", **WHOLE, compare="none")
    net_sales, orders, average, customers = marts.query(
        "select net_sales, orders, average_order_value, customers from marts.tenant_overview where tenant_id = 'shelf'"
    )[0]
    shown = [Decimal(value) for value in values(page)[:4]]
    assert shown == [net_sales, orders, average, customers]


def test_figures_say_what_they_mean_and_when_they_were_made(viewer: Visitor) -> None:
    page = viewer.read("/stores/shelf")
    assert "Gross sales plus discounts of counted orders as they were placed" in page
    assert page.count("As of ") > 8


def test_a_day_opens_its_entries_which_add_up_to_it_to_the_cent(analyst: Visitor, marts: Warehouse) -> None:
    days = marts.query(
        "select date_day, net_sales, returns from marts.revenue_daily where tenant_id = 'shelf' "
        "order by returns limit 2"
    )
    for day, net_sales, returns in days:
        page = analyst.read("/stores/shelf/ledger", **{"from": day, "to": day})
        sums = dict(re.findall(r'data-measure="(\w+)" data-value="([^"]+)"', page))
        assert (Decimal(sums["net_sales"]), Decimal(sums["returns"])) == (net_sales, returns)
        file = analyst.get("/stores/shelf/ledger", **{"from": day, "to": day, "format": "csv"}).text
        rows = list(csv.DictReader(StringIO(file)))
        assert sum(Decimal(row["net_sales"]) for row in rows) == net_sales


def test_an_entry_opens_its_order(viewer: Visitor, marts: Warehouse) -> None:
    order_id, name, net_sales = marts.query(
        "select order_id, order_name, net_sales from marts.fct_orders where tenant_id = 'shelf' "
        "order by returns limit 1"
    )[0]
    page = viewer.read(f"/stores/shelf/orders/{order_id}")
    assert name in page
    assert Decimal(dict(re.findall(r'data-measure="(\w+)" data-value="([^"]+)"', page))["net_sales"]) == net_sales
    assert viewer.get("/stores/shelf/orders/1").status_code == 404
    assert viewer.get(f"/stores/shelf/orders/{10**30}").status_code == 404


def test_the_ledger_is_read_by_pages(viewer: Visitor, marts: Warehouse) -> None:
    page, path, seen = "", f"/stores/shelf/ledger?from={WHOLE['from']}&to={WHOLE['to']}", 0
    for _ in range(20):
        page = viewer.read(path)
        seen += len(re.findall(r'<td class="nowrap">', page))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following is None:
            break
        path = following[1]
    assert seen == marts.value("select count(*) from marts.fct_sales where tenant_id = 'shelf'")


@pytest.mark.parametrize("grain", ["day", "week", "month", "quarter", "year"])
def test_sales_over_time_are_downloaded_as_they_are(viewer: Visitor, marts: Warehouse, grain: str) -> None:
    response = viewer.get("/stores/shelf", **WHOLE, grain=grain, format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(StringIO(response.text)))
    asked = "select period_start, net_sales, orders from marts.revenue_trends where tenant_id = 'shelf' and grain = %s"
    wanted = {str(start): (net_sales, orders) for start, net_sales, orders in marts.query(asked, grain)}
    assert {row["period_start"]: (Decimal(row["net_sales"]), int(row["orders"])) for row in rows} == wanted


def test_a_viewer_sees_no_person(viewer: Visitor, analyst: Visitor, marts: Warehouse) -> None:
    name = marts.value(
        "select last_name from marts.dim_customers join marts.top_customers using (tenant_id, customer_id) "
        "where tenant_id = 'shelf' and rank <= 10 and length(last_name) > 3 order by rank limit 1"
    )
    assert name in analyst.read("/stores/shelf/parts/best")
    assert name not in viewer.read("/stores/shelf/parts/best")


def test_stores_without_orders_or_marts_say_so(analyst: Visitor) -> None:
    page = analyst.read("/stores/void")
    assert "This store has no orders yet" in page
    assert "data-value" not in page
    assert "still being loaded" in analyst.read("/stores/depot")
    stores = analyst.read("/stores")
    assert "still being loaded" in stores
    assert "no orders yet" in stores


def test_a_range_that_is_running_is_marked(viewer: Visitor) -> None:
    assert "Today is not over" in viewer.read("/stores/shelf")
    assert "Today is not over" not in viewer.read("/stores/shelf", **{"from": "2026-01-01", "to": "2026-01-31"})


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "12026-01-01"},
        {"from": "2026-02-30"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": "0001-01-01"},
        {"from": "2026-01-01\0"},
        {"grain": "hour"},
        {"compare": "everything"},
        {"cursor": "nonsense"},
    ],
)
def test_an_address_that_asks_for_nonsense_is_answered_by_what_is_wrong(viewer: Visitor, query: dict[str, Any]) -> None:
    response = viewer.get("/stores/shelf/ledger", **query)
    assert response.status_code == 400
    assert "That cannot be shown" in response.text


def test_static_files_are_kept_by_the_browser(viewer: Visitor) -> None:
    page = viewer.read("/stores/shelf")
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        response = viewer.get(path)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
    assert viewer.get("/static/old/dashboard.css").status_code == 404
    assert viewer.get("/static/x/..%2Fapp.py").status_code == 404
