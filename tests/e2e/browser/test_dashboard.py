"""The dashboard in a real browser, over `make dev` after `make demo`: each page as each role, and what people do."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.support.looking_browser import Looking, sign_in
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.database.connection import Database

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]

STORE = "/stores/aurora-outdoor"
PAGES = [
    *("", "/customers", "/rfm", "/retention", "/churn", "/products", "/checkouts", "/segments", "/segments/new"),
    *("/data", "/ledger"),
]
SYNC_SECONDS = 240
"""A run in a process of its own, while other tests compete for two cores."""


@pytest.mark.parametrize("role", list(Role))
def test_every_page_is_accessible_and_loads_nothing_from_elsewhere(
    looking: Looking, database: Database, role: Role
) -> None:
    sign_in(looking, database, role)
    for path in [*(f"{STORE}{path}" for path in PAGES), *details(database), "/stores"]:
        looking.go(path)
        for width, dark in ((1440, False), (1440, True), (390, True), (390, False)):
            looking.show_as(dark=dark, width=width)
            looking.photograph(f"{role}{path.replace('/', '-')}-{width}{'-dark' if dark else ''}")
            if role is Role.ANALYST or dark == (width < 1000):  # a role adds little but a button
                assert looking.violations() == [], (path, width, dark)
            assert looking.overflow() <= 0, (path, width)
        assert looking.messages() == [], path
        assert looking.hosts() <= {looking.host}, path
    looking.show_as(dark=False, width=1440)


def details(database: Database) -> list[str]:
    """The pages of one customer, one order that was refunded, and one segment."""
    with database.connect() as connection:
        row = connection.execute(
            """
            select
                (
                    select customer_id from marts.dim_customers
                    where tenant_id = 'aurora-outdoor' order by net_sales desc limit 1
                ),
                (
                    select order_id from marts.fct_orders
                    where tenant_id = 'aurora-outdoor' and line_count < 9 order by returns limit 1
                ),
                (select segment_id from marts.segments where tenant_id = 'aurora-outdoor' limit 1)
            """
        ).fetchone()
    assert row is not None
    kinds = ("customers", "orders", "segments")
    return [f"{STORE}/{kind}/{number}" for kind, number in zip(kinds, row, strict=True)]


def test_figures_read_from_the_pages_equal_the_marts(looking: Looking, database: Database) -> None:
    sign_in(looking, database, Role.ANALYST)
    for store in ("aurora-outdoor", "hoshi-stationery", "kirsche-und-co"):
        with database.connect() as connection:
            wanted = connection.execute(
                "select net_sales, orders, average_order_value, customers from marts.tenant_overview "
                "where tenant_id = %s",
                [store],
            ).fetchone()
            cells = connection.execute(
                "select recency_score || '' || frequency_score, count(*) from marts.rfm_scores "
                "where tenant_id = %s group by 1",
                [store],
            ).fetchall()
            cohorts = connection.execute(
                "select distinct cohort_month, cohort_size from marts.cohort_retention "
                "where tenant_id = %s order by 1 desc limit 13",
                [store],
            ).fetchall()
        looking.go(f"/stores/{store}?from=2020-01-01&to=2030-12-31&grain=year&compare=none")
        assert tuple(map(Decimal, looking.values(".figures .value"))) == wanted
        looking.go(f"/stores/{store}/rfm")
        grid = looking.browser.find_elements(By.CSS_SELECTOR, "[data-cell]")
        shown = {str(cell.get_attribute("data-cell")): int(cell.text.replace(",", "")) for cell in grid}
        assert shown == dict(cells)
        looking.go(f"/stores/{store}/retention")
        assert list(map(int, looking.values("#cohorts [data-value]"))) == [size for _, size in cohorts]


def test_days_are_chosen_by_name_stay_in_the_address_and_are_downloaded(looking: Looking, database: Database) -> None:
    sign_in(looking, database, Role.VIEWER)
    looking.go(STORE)
    looking.click(".range summary")
    looking.follow("This year")
    year = re.search(r"from=(\d+)-01-01&to=", looking.browser.current_url)
    assert year is not None
    looking.follow("Month")
    address = looking.browser.current_url.removeprefix(looking.url)
    rows = looking.download(".card-tools a[download]")
    with database.connect() as connection:
        wanted = connection.execute(
            "select period_start::text, net_sales from marts.revenue_trends "
            "where tenant_id = 'aurora-outdoor' and grain = 'month' and extract(year from period_start) = %s",
            [int(year[1])],
        ).fetchall()
    assert {row["period_start"]: Decimal(row["net_sales"]) for row in rows} == dict(wanted)
    looking.go(address)  # a link shows the same
    assert looking.find(".range summary").text.startswith("This year")
    looking.click(".range summary")
    Select(looking.find("[name=compare]")).select_by_value("year")
    looking.click(".dates button")
    looking.wait_for(lambda: "compare=year" in looking.browser.current_url)
    looking.go(f"{STORE}/customers")
    people = looking.download("a[download]")
    assert len(people) > 500  # more than one page of it
    assert {row["email"] for row in people} == {""}


def test_a_figure_leads_to_the_entries_that_it_is_the_sum_of(looking: Looking, database: Database) -> None:
    looking.go(f"{STORE}?grain=month&from=2026-01-01&to=2026-12-31")
    link = looking.browser.find_element(By.CSS_SELECTOR, "#sales tbody a")
    row = link.find_element(By.XPATH, "./ancestor::tr")
    shown = row.find_element(By.CSS_SELECTOR, "td.n").get_property("textContent")
    looking.browser.get(str(link.get_attribute("href")))
    total = looking.browser.find_element(By.CSS_SELECTOR, "#ledger-totals [data-measure=net_sales]")
    assert total.text == str(shown).strip()
    days = re.search(r"from=([\d-]+)&to=([\d-]+)", looking.browser.current_url)
    assert days is not None
    with database.connect() as connection:
        wanted = connection.execute(
            "select sum(net_sales) from marts.fct_sales where tenant_id = 'aurora-outdoor' "
            "and happened_on between %s and %s",
            list(days.groups()),
        ).fetchone()
    assert wanted is not None
    assert Decimal(str(total.get_attribute("data-value"))) == wanted[0]


def test_a_segment_by_mouse_and_by_text_has_the_same_members(looking: Looking, database: Database) -> None:
    sign_in(looking, database, Role.ANALYST)
    looking.go(f"{STORE}/segments/new")
    Select(looking.find("#operator-0")).select_by_value(">")
    looking.settle()
    looking.find("#value-0").send_keys("4")
    looking.wait_for(lambda: looking.find("#query").get_property("value") == "number_of_orders > 4")
    by_mouse = looking.wait_for(lambda: looking.find("#count").get_attribute("data-value"))
    text = looking.find("#query")
    text.clear()
    text.send_keys("number_of_orders >= 5")
    looking.wait_for(lambda: looking.find("#operator-0").get_property("value") == ">=")
    looking.settle()
    assert looking.find("#count").get_attribute("data-value") == by_mouse
    looking.find("[name=name]").send_keys("Came five times")
    looking.click("form.builder button.primary")
    looking.wait_for(lambda: re.search(r"/segments/\d+$", looking.browser.current_url))
    assert "number_of_orders >= 5" in looking.text()


def test_a_sync_is_requested_and_followed_to_its_end(looking: Looking, database: Database) -> None:
    sign_in(looking, database, Role.OPERATOR)
    looking.go(f"{STORE}/data")
    looking.wait_for(lambda: looking.find("button.primary").is_enabled(), SYNC_SECONDS)
    looking.click("main button.primary")
    number = looking.wait_for(lambda: looking.find(".running-sync").get_attribute("data-sync"))
    done = f"#syncs-done tr[data-sync='{number}'] .tag"
    looking.wait_for(lambda: looking.find(done).text == "succeeded", SYNC_SECONDS)
    assert looking.messages() == []


def test_signing_out_leaves_nothing_to_go_back_to(looking: Looking) -> None:
    looking.go(f"{STORE}/customers")
    looking.click("form[action='/sign-out'] button")
    looking.wait_for(lambda: looking.browser.current_url.endswith("/sign-in"))
    looking.go(f"{STORE}/customers")
    assert "/sign-in?next=" in looking.browser.current_url


def test_a_page_is_small_and_quick(looking: Looking, database: Database, tmp_path: Path) -> None:
    sign_in(looking, database, Role.VIEWER)
    looking.browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    looking.bytes_received()
    looking.go(STORE)
    assert looking.bytes_received() <= 1_000_000
    started = time.monotonic()
    looking.go(STORE)
    assert time.monotonic() - started < 20  # what is fast is measured where nothing else runs
    assert looking.bytes_received() <= 50_000
