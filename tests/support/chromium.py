"""A headless Chromium from the distribution's packages, as tests and scripts/take_pictures.py use it."""

from __future__ import annotations

import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_QUIET = (  # no window, no sandbox (root), and no word to anyone outside
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def is_installed() -> bool:
    """Whether there is a browser to open."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


def open_chromium(width: int = 1800, height: int = 1300) -> webdriver.Chrome | None:
    """A browser with a window of that many pixels; None where Chromium and ChromeDriver are not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*_QUIET, f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))
