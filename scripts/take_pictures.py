"""Take the pictures of the docs: `python -m scripts.take_pictures` runs the demo and the UI in a home of its own.

They are checked in, so that whoever reads sees them; take them again when the UI shows something else.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.support.chromium import open_chromium
from tests.support.served_demo import served_demo
from tests.support.ui_page import Page
from xeno_pipeline.settings import PROJECT_DIR

PICTURES = PROJECT_DIR / "docs" / "pictures"
PAGES = {
    "graph": ("/asset-groups", ("raw", "marts")),
    "mart": ("/assets/marts/revenue_daily?view=overview", ("revenue_daily", "Columns")),
    "lineage": ("/assets/marts/revenue_daily?view=overview", ("Sale.totalAmount.shopMoney.amount",)),
    "partitions": ("/assets/marts/revenue_daily?view=partitions&partition=aurora-outdoor", ("Net sales by day",)),
    "retention": ("/assets/marts/cohort_retention?view=partitions&partition=aurora-outdoor", ("ordered again",)),
    "runs": ("/runs", ("sync", "events", "Success")),
    "automation": ("/automation", ("hourly_sync", "webhooks")),
}
"""By name, where it is and which words say that it is there."""

_WIDTH, _HEIGHT = 1500, 950
_CHECK_SECONDS = 300
_SECONDS_TO_SETTLE = 4  # the graph slides into place after its words are there, and nothing on it says so


def main() -> int:
    """Returns the exit code."""
    browser = open_chromium(_WIDTH, _HEIGHT)
    if browser is None:
        sys.stderr.write("Chromium and ChromeDriver are needed (Debian: chromium, chromium-driver).\n")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="xeno-pictures-", ignore_cleanup_errors=True) as folder:
        try:
            with served_demo(Path(folder) / "home") as demo:
                page = Page(browser, demo.url, PICTURES)
                page.go("/assets/marts/revenue_daily?view=checks")
                page.click("Execute all")
                page.wait_for("In Progress")
                page.wait_for("Passed", without="In Progress", seconds=_CHECK_SECONDS)
                _photograph(page, "checks")
                page.browser.get(demo.link)
                page.browser.find_element("css selector", "button.primary").click()
                page.browser.get(f"{demo.dashboard}/stores/aurora-outdoor")
                page.wait_for("Today so far", "Best customers")
                _photograph(page, "dashboard")
                for name, (path, words) in PAGES.items():
                    page.go(path)
                    page.wait_for(*words)
                    _photograph(page, name)
        finally:
            browser.quit()
    return 0


def _photograph(page: Page, name: str) -> None:
    time.sleep(_SECONDS_TO_SETTLE)
    picture = page.photograph(name)
    sys.stdout.write(f"{picture.relative_to(PROJECT_DIR)}: {picture.stat().st_size // 1024} KiB\n")


if __name__ == "__main__":
    sys.exit(main())
