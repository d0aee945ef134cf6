"""What merchants ask, answered by clicking alone, from the overview on; the answers are those of the marts."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.support.looking_browser import Looking
from xeno_pipeline.database.connection import Database

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]

CENT = Decimal("0.01")
STORE = "/stores/aurora-outdoor"


def ask(database: Database, query: str, *bound: object) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query, list(bound)).fetchall()


def figure(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.-]", "", text))


def test_which_month_was_best_and_why(looking: Looking, database: Database) -> None:
    looking.go(STORE)
    looking.click(".range summary")
    looking.follow("Last 12 months")
    looking.follow("Month")
    shown = looking.find("#over-time").find_element(By.XPATH, "./ancestor::section").text
    best = re.search(r"Best: (\w+ \d{4}) with \$([\d,.]+)\d. Beside the others on average: net sales \+", shown)
    assert best is not None, shown
    [(month, net_sales)] = ask(
        database,
        "select period_start, net_sales from marts.revenue_trends where tenant_id = 'aurora-outdoor' "
        "and grain = 'month' and period_start > current_date - interval '12 months' order by net_sales desc limit 1",
    )
    assert f"Best: {month:%b %Y} with ${net_sales:,.2f}" in shown
    looking.follow("Look at it closely")
    assert figure(looking.find("#figure-net_sales .value").text) == net_sales.quantize(Decimal("0.01"))
    [(product,)] = ask(
        database,
        "select title from marts.product_performance join marts.dim_products using (tenant_id, product_id) "
        "where tenant_id = 'aurora-outdoor' and month = %s order by rank_by_net_sales limit 1",
        month,
    )
    assert product in looking.text()


def test_who_are_my_ten_best_customers_and_when_did_they_last_buy(looking: Looking, database: Database) -> None:
    looking.go(STORE)
    table = looking.find("#best-customers").find_element(By.XPATH, "./ancestor::section").text
    wanted = ask(
        database,
        "select coalesce(nullif(trim(concat_ws(' ', first_name, last_name)), ''), best.email, "
        "'Customer ' || customer_id), best.last_order_on "
        "from marts.top_customers best join marts.dim_customers using (tenant_id, customer_id) "
        "where tenant_id = 'aurora-outdoor' and rank <= 10 order by rank",
    )
    assert len(wanted) == 10
    for name, last in wanted:
        assert f"{name} {last:%b} {last.day}, {last.year}" in " ".join(table.split()), table


def test_who_is_about_to_leave(looking: Looking, database: Database) -> None:
    looking.go(STORE)
    looking.follow("Churn")
    links = looking.browser.find_elements(By.CSS_SELECTOR, "[aria-labelledby=at-stake] tbody th a")
    shown = [int(str(link.get_attribute("href")).rpartition("/")[2]) for link in links]
    wanted = ask(
        database,
        "select customer_id from marts.dim_customers where tenant_id = 'aurora-outdoor' and is_churn_risk "
        "and orders_count > 1 order by net_sales desc, customer_id desc limit 20",
    )
    assert shown == [number for (number,) in wanted]


def test_what_did_the_last_refund_do_to_its_day(looking: Looking, database: Database) -> None:
    [(day, returns, net_sales)] = ask(
        database,
        "select date_day, returns, net_sales from marts.revenue_daily where tenant_id = 'aurora-outdoor' "
        "and date_day = (select max(happened_on) from marts.fct_sales sales "
        "where sales.tenant_id = 'aurora-outdoor' and sales.returns <> 0)",
    )
    looking.go(STORE)
    returns_row = looking.find("#breakdown").find_element(By.XPATH, ".//tr[starts-with(normalize-space(), 'Returns')]")
    returns_row.find_element(By.TAG_NAME, "button").click()
    looking.follow("The entries behind it")
    looking.click("#ledger tbody td a")  # the latest is the first
    looking.settle()
    assert looking.find("h1 + p").text == f"{day:%A, %B} {day.day}, {day.year}"
    took, before, left = re.findall(r"\$[\d,.]+\d", looking.find("#ledger-totals + p").text)
    assert (figure(took), figure(left)) == (-returns.quantize(CENT), net_sales.quantize(CENT))
    assert figure(before) == (net_sales - returns).quantize(CENT)


def test_how_many_vips_are_in_a_segment_of_ones_own(looking: Looking, database: Database) -> None:
    looking.go(STORE)
    looking.follow("Segments")
    looking.follow("New segment")
    Select(looking.find("#field-0")).select_by_visible_text("is high value")
    looking.settle()
    shown = looking.wait_for(lambda: looking.find("#count").get_attribute("data-value"))
    [(wanted,)] = ask(
        database, "select count(*) from marts.dim_customers where tenant_id = 'aurora-outdoor' and is_high_value"
    )
    assert int(str(shown)) == wanted
    looking.find("[name=name]").send_keys("VIPs of mine")
    looking.follow("Save")
    looking.wait_for(lambda: re.search(r"/segments/\d+$", looking.browser.current_url))
    looking.follow("Who fits it now")
    assert "is_high_value = true" in looking.text()
