"""A browser that looks at pages of the dashboard: what it draws, what it asks for, and what axe finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

_AXE = Path(__file__).parent / "axe" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0]}).then(found => done(found.violations.map(each =>
    `${each.id}: ${each.nodes.map(node => node.html.slice(0, 200)).join(' ')}`)));
"""
_SECONDS = 30.0

Found = TypeVar("Found")


@dataclass(frozen=True)
class Looking:
    """A browser at the dashboard.

    Args:
        url: where the dashboard is.
        folder: of photographs.
    """

    browser: webdriver.Chrome
    url: str
    folder: Path

    @property
    def host(self) -> str:
        """The dashboard's host and port."""
        return urlsplit(self.url).netloc

    def go(self, path: str) -> None:
        """Open a page, and wait until its parts are there."""
        self.browser.get(f"{self.url}{path}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is asked for any more."""
        busy = ".later, .htmx-request"
        self.wait_for(lambda: not self.browser.find_elements(By.CSS_SELECTOR, busy))
        time.sleep(0.4)  # a chart is drawn after the last answer

    def wait_for(self, look: Callable[[], Found], seconds: float = _SECONDS) -> Found:
        """Look again and again until there is something."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := look():
                    return found
            except (NoSuchElementException, StaleElementReferenceException):
                pass
            assert time.monotonic() < deadline, (
                f"{self.browser.current_url} has after {seconds} s: {self.text()[:3000]}"
            )
            time.sleep(0.2)

    def find(self, selector: str) -> WebElement:
        """The first element."""
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click the first element."""
        self.find(selector).click()

    def text(self) -> str:
        """What is to be read."""
        return self.find("body").text

    def show_as(self, *, dark: bool, width: int) -> None:
        """As a screen of that width shows it, in the light or in the dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def photograph(self, name: str) -> Path:
        """A picture of what is in view."""
        path = self.folder / f"{name}.png"
        self.browser.save_screenshot(str(path))
        return path

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2 AA."""
        self.browser.execute_cdp_cmd("Runtime.evaluate", {"expression": _AXE.read_text()})  # past the page's policy
        found: list[str] = self.browser.execute_async_script(_RUN_AXE, _RULES)
        return found

    def messages(self) -> list[str]:
        """What the console has, violations of the policy among it."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.browser.execute_script(script))

    def hosts(self) -> set[str]:
        """The hosts that were asked for anything since the last time."""
        asked = (event["params"]["request"]["url"] for event in self._network("Network.requestWillBeSent"))
        return {urlsplit(url).netloc for url in asked if url.startswith("http")}

    def bytes_received(self) -> int:
        """How much was transferred since the last time."""
        return sum(int(event["params"]["encodedDataLength"]) for event in self._network("Network.loadingFinished"))

    def _network(self, method: str) -> Iterator[dict[str, Any]]:
        for entry in self.browser.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == method:
                yield message
