"""The UI over what the demo left, and a browser to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.support.chromium import is_installed, open_chromium
from tests.support.looking_browser import Looking, sign_in
from tests.support.served_demo import ServedDemo, served_demo
from tests.support.ui_page import Page
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer


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
def database(demo: ServedDemo) -> Database:
    """The demo's, as its owner sees it."""
    return Database(EmbeddedServer(demo.home).ensure_running())


@pytest.fixture(scope="module")
def looking(
    browser: webdriver.Chrome, demo: ServedDemo, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Looking]:
    """A browser at the dashboard, signed in as an analyst; its photographs are in pytest's own folder."""
    looking = Looking(browser, demo.dashboard, tmp_path_factory.mktemp("dashboard"))
    sign_in(looking, database, Role.ANALYST)
    yield looking
    looking.show_as(dark=False, width=1440)


@pytest.fixture(scope="module")
def page(browser: webdriver.Chrome, demo: ServedDemo, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A browser that looks at the UI; its photographs are in pytest's own folder."""
    return Page(browser, demo.url, tmp_path_factory.mktemp("photographs"))
