"""The UI over what the demo left, and a browser to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.support.chromium import is_installed, open_chromium
from tests.support.served_demo import ServedDemo, served_demo
from tests.support.ui_page import Page


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium from the distribution's packages."""
    opened = open_chromium()
    if opened is None:
        pytest.skip("Chromium and ChromeDriver are not installed (Debian: chromium, chromium-driver)")
    yield opened
    opened.quit()


@pytest.fixture(scope="package")
def demo(make_parsed_home: Callable[[], Path]) -> Iterator[ServedDemo]:
    """What the demo left, served."""
    if not is_installed():
        pytest.skip("Chromium and ChromeDriver are not installed (Debian: chromium, chromium-driver)")
    with served_demo(make_parsed_home()) as demo:
        yield demo


@pytest.fixture(scope="module")
def page(browser: webdriver.Chrome, demo: ServedDemo, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A browser that looks at the UI; its photographs are in pytest's own folder."""
    return Page(browser, demo.url, tmp_path_factory.mktemp("photographs"))
