"""Take the pictures of the docs: `python -m scripts.take_pictures` runs the demo and the UI in a home of its own.

They are checked in, so that whoever reads sees them; take them again when the UI shows something else.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.chromium import open_chromium
from xeno_pipeline.settings import PROJECT_DIR
from xeno_pipeline.warehouse.embedded import EmbeddedServer

PICTURES = PROJECT_DIR / "docs" / "pictures"
PAGES = {
    "graph": ("/asset-groups", ("raw", "marts")),
    "mart": ("/assets/marts/revenue_daily?view=overview", ("revenue_daily", "Description")),
    "partitions": ("/assets/marts/revenue_daily?view=partitions&partition=aurora-outdoor", ("Materialized (",)),
    "runs": ("/runs", ("sync", "Success")),
    "automation": ("/automation", ("hourly_sync", "webhooks")),
}
"""By name, where it is and which words say that it is there."""

_WIDTH, _HEIGHT = 1500, 950
_START_SECONDS = 240
_PAGE_SECONDS = 90
_SECONDS_TO_SETTLE = 4  # the graph is laid out, and slides into place, after its words are there


def main() -> int:
    """Returns the exit code."""
    browser = open_chromium(_WIDTH, _HEIGHT)
    if browser is None:
        sys.stderr.write("Chromium and ChromeDriver are needed (Debian: chromium, chromium-driver).\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="xeno-pictures-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        try:
            with _served(home) as url:
                for name, (path, words) in PAGES.items():
                    _photograph(browser, url + path, words, PICTURES / f"{name}.png")
        finally:
            browser.quit()
            EmbeddedServer(home).stop()
    return 0


@contextmanager
def _served(home: Path) -> Iterator[str]:
    """The UI over what the demo left; yields its address."""
    ports = {name: _free_port() for name in ("XENO_DAGSTER_PORT", "XENO_GATEWAY_PORT", "XENO_SANDBOX_PORT")}
    environment = {**os.environ, "XENO_HOME": str(home), **{name: str(port) for name, port in ports.items()}}
    xeno = [sys.executable, "-m", "xeno_pipeline.cli"]
    subprocess.run([*xeno, "demo"], env=environment, check=True)
    dev = subprocess.Popen([*xeno, "dev"], env=environment)
    try:
        url = f"http://127.0.0.1:{ports['XENO_DAGSTER_PORT']}"
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            if dev.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The UI does not start.")
            time.sleep(0.5)
        yield url
    finally:
        dev.send_signal(signal.SIGTERM)
        dev.wait(60)


def _photograph(browser: Chrome, url: str, words: tuple[str, ...], picture: Path) -> None:
    """Write a picture of a page, once it holds all the words."""
    browser.get(url)
    deadline = time.monotonic() + _PAGE_SECONDS
    while not all(word in browser.find_element(By.TAG_NAME, "body").text for word in words):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not show {words}.")
        time.sleep(0.5)
    time.sleep(_SECONDS_TO_SETTLE)
    picture.parent.mkdir(exist_ok=True)
    browser.save_screenshot(str(picture))
    sys.stdout.write(f"{picture.relative_to(PROJECT_DIR)}: {picture.stat().st_size // 1024} KiB\n")


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/server_info", timeout=5).ok
    except requests.RequestException:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
