"""The dashboard in a real browser, over `make dev` after `make demo`: each page as each role, and what people do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.support.looking_browser import Looking
from tests.support.served_demo import ServedDemo
from xeno_pipeline.access.grants import invite
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]

STORE = "/stores/aurora-outdoor"
PAGES = [
    *("", "/customers", "/rfm", "/retention", "/churn", "/products", "/checkouts", "/segments", "/segments/new"),
    *("/data", "/ledger"),
]
SYNC_SECONDS = 240
"""A run in a process of its own, while other tests compete for two cores."""


@pytest.fixture(scope="module")
def database(demo: ServedDemo) -> Database:
    return Database(EmbeddedServer(demo.home).ensure_running())


@pytest.fixture(scope="module")
def looking(browser: webdriver.Chrome, demo: ServedDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looking]:
    """The browser, signed in by the link that `make dev` printed."""
    looking = Looking(browser, demo.dashboard, tmp_path_factory.mktemp("dashboard"))
    looking.go(demo.link.removeprefix(demo.dashboard))
    looking.click("button.primary")
    looking.wait_for(lambda: "/stores" in browser.current_url)
    yield looking
    looking.show_as(dark=False, width=1440)


def sign_in(looking: Looking, database: Database, role: Role) -> None:
    with database.connect() as connection:
        link = invite(connection, f"{role}@example.com", None, role).secret
    looking.browser.delete_all_cookies()
    looking.go(f"/sign-in/{link}")
    looking.click("button.primary")
    looking.wait_for(lambda: "/sign-in" not in looking.browser.current_url)


@pytest.mark.parametrize("role", list(Role))
def test_every_page_is_accessible_and_loads_nothing_from_elsewhere(
    looking: Looking, database: Database, role: Role
) -> None:
    sign_in(looking, database, role)
    for number, path in enumerate(PAGES):
        for width, dark in ((1440, number % 2 == 0), (390, number % 2 == 1)):
            looking.show_as(dark=dark, width=width)
            looking.go(f"{STORE}{path}")
            looking.photograph(f"{role}-{path.strip('/').replace('/', '-') or 'overview'}-{width}-{dark}")
            assert looking.violations() == [], path
            assert looking.messages() == [], path
            assert looking.hosts() <= {looking.host}, path
            assert looking.overflow() <= 0, path
    looking.show_as(dark=False, width=1440)


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
