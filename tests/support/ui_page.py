"""A page of the Dagster UI, and what a person does with it."""

from __future__ import annotations

from pathlib import Path

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

PAGE_SECONDS = 120
"""The first page loads the UI and the code location while other tests compete for two cores."""

_OF_AN_ERROR = ("Unexpected error", "GraphQL error", "PythonError", "Error loading", "Failed to load", "Traceback")
_LAID_OUT = """
    const moving = document.getAnimations().some(each => each.effect.getComputedTiming().endTime < 1e6);
    const loading = document.querySelector('.bp5-spinner, .bp4-spinner');
    const fetching = document.body.innerText.includes('fetching statuses');
    return document.readyState === 'complete' && !moving && !loading && !fetching;
    """


class Page:
    """Goes somewhere, waits for words to appear, clicks on some, takes photographs.

    Args:
        browser: a browser.
        url: the UI's address.
        folder: where photographs go.
    """

    def __init__(self, browser: Chrome, url: str, folder: Path) -> None:
        self.browser, self.url, self.folder = browser, url, folder

    def go(self, path: str) -> None:
        self.browser.get(self.url + path)

    def text(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def wait_for(self, *words: str, without: str | None = None, seconds: float = PAGE_SECONDS) -> str:
        """The page's text once it holds all the words, and not the one; what it shows instead is in the failure."""

        def all_there(_: Chrome) -> bool:
            shown = self.text()
            return all(word in shown for word in words) and (without is None or without not in shown)

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

    def follow(self, label: str) -> None:
        """Go where the link of that label leads."""

        def found(browser: Chrome) -> str | None:
            links = browser.find_elements(By.LINK_TEXT, label)
            return links[0].get_attribute("href") if links else None

        address = self._wait(PAGE_SECONDS).until(found, f"there is no link {label} on {self.browser.current_url}")
        self.browser.get(str(address))

    def images(self) -> list[int]:
        """The widths in pixels of the images in the figures; one that could not be shown has none."""
        widths: list[int] = self.browser.execute_script(
            "return [...document.querySelectorAll('table img')].map(image => image.naturalWidth)"
        )
        return widths

    def links(self) -> list[str]:
        """Where the page's links lead."""
        targets: list[str] = self.browser.execute_script("return [...document.links].map(link => link.href)")
        return targets

    def photograph(self, name: str) -> Path:
        """Take a picture of the page as it is once nothing on it moves or loads.

        Raises:
            AssertionError: it tells of an error.
        """
        self._wait(PAGE_SECONDS).until(lambda browser: browser.execute_script(_LAID_OUT), f"{name} does not settle")
        shown = self.text()
        assert [words for words in _OF_AN_ERROR if words in shown] == [], shown
        assert self.browser.find_elements(By.CSS_SELECTOR, "[class*=toast][class*=intent-danger]") == [], shown
        picture = self.folder / f"{name}.png"
        self.browser.save_screenshot(str(picture))
        return picture

    def _wait(self, seconds: float) -> WebDriverWait[Chrome]:
        """A wait that tries again where the page was redrawn between finding a thing and using it."""
        redrawn = (StaleElementReferenceException, ElementClickInterceptedException, NoSuchElementException)
        return WebDriverWait(self.browser, seconds, ignored_exceptions=redrawn)
