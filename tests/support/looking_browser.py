"""A browser that looks at pages of the dashboard: what it draws, what it asks for, and what axe finds."""

from __future__ import annotations

import csv
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

from xeno_pipeline.access.grants import invite
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.database.connection import Database

_AXE = Path(__file__).parent / "axe" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0], resultTypes: ["violations"]}).then(found => done(found.violations.map(each =>
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

    def follow(self, words: str) -> None:
        """Click the first link or button that is to be seen and has these words, and wait for what comes."""

        def clicked() -> bool:
            spoken = f"[normalize-space()='{words}']"
            for element in self.browser.find_elements(By.XPATH, f"//a{spoken} | //button{spoken} | //summary{spoken}"):
                if element.is_displayed():
                    element.click()
                    return True
            return False

        self.wait_for(clicked)
        self.settle()

    def download(self, selector: str) -> list[dict[str, str]]:
        """Click a link to a file, and read the file's rows."""
        folder = self.folder / "downloads"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        behavior = {"behavior": "allow", "downloadPath": str(folder)}
        self.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
        self.click(selector)
        [file] = self.wait_for(lambda: [path for path in folder.iterdir() if path.suffix == ".csv"])
        return list(csv.DictReader(file.read_text().splitlines()))

    def values(self, selector: str) -> list[str]:
        """The exact figures behind what elements show."""
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return [str(element.get_attribute("data-value")) for element in found]

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
        if not self.browser.execute_script("return 'axe' in window"):
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


def sign_in(looking: Looking, database: Database, role: Role) -> None:
    """Sign in as somebody with a role in all stores, by a link."""
    with database.connect() as connection:
        link = invite(connection, f"{role}@example.com", None, role).secret
    looking.browser.delete_all_cookies()
    looking.go(f"/sign-in/{link}")
    looking.click("button.primary")
    looking.wait_for(lambda: "/sign-in" not in looking.browser.current_url)
