"""The Dagster UI in a real browser: lineage, partitions, and a backfill of all tenants."""

from __future__ import annotations

import pytest
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import TENANTS

PAGE_SECONDS = 60
"""The first page loads the UI and the code location while other tests compete for two cores."""
BACKFILL_SECONDS = 240
"""Two runs, each a process of its own that imports Dagster and dbt."""


@pytest.fixture
def page(browser: Chrome, dagster_url: str) -> Page:
    return Page(browser, dagster_url)


class Page:
    """What a person does: go somewhere, wait for words to appear, click on some."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser, self.url = browser, url

    def go(self, path: str) -> None:
        self.browser.get(self.url + path)

    def text(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def wait_for(self, *words: str, seconds: float = PAGE_SECONDS) -> str:
        """The page's text once it holds all the words; what it shows instead is in the failure."""

        def all_there(_: Chrome) -> bool:
            return all(word in self.text() for word in words)

        self._wait(seconds).until(all_there, f"{words} did not appear on {self.browser.current_url}")
        return self.text()

    def click(self, label: str) -> None:
        """Click the button of that label once it can be clicked."""

        def clicked(browser: Chrome) -> bool:
            for button in browser.find_elements(By.TAG_NAME, "button"):
                if button.text.startswith(label) and button.is_enabled():
                    button.click()
                    return True
            return False

        self._wait(PAGE_SECONDS).until(clicked, f"there is no button {label} to click")

    def _wait(self, seconds: float) -> WebDriverWait[Chrome]:
        """A wait that tries again where the page was redrawn between finding a thing and using it."""
        redrawn = (StaleElementReferenceException, ElementClickInterceptedException, NoSuchElementException)
        return WebDriverWait(self.browser, seconds, ignored_exceptions=redrawn)


def test_the_graph_reads_from_shopify_to_the_marts(page: Page) -> None:
    page.go("/asset-groups")
    page.wait_for("shopify", "raw", "staging", "intermediate", "marts")


def test_each_tenant_is_a_partition(page: Page) -> None:
    page.go("/assets/marts/revenue_daily?view=partitions")
    assert "Failed (0)" in page.wait_for(*TENANTS, "Materialized (")


def test_a_backfill_of_all_tenants_started_from_the_page_succeeds(page: Page) -> None:
    page.go("/asset-groups")
    page.click("Materialize all")
    page.click("All")
    page.wait_for(f"{len(TENANTS)} partitions")
    page.click("Launch backfill")
    page.wait_for("ed backfill")  # Launched or created: the browser may leave the page now
    page.go("/runs?view=backfills")
    page.wait_for("Success", seconds=BACKFILL_SECONDS)
    page.go("/assets/marts/revenue_daily?view=partitions")
    page.wait_for(f"Materialized ({len(TENANTS)})", "Missing (0)")
