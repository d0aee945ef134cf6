"""Dagster as `dagster dev` serves it over a home of two tenants, and a browser to look at it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver

from tests.browser.chromium import open_chromium
from xeno_pipeline.orchestration.instance import dagster_home
from xeno_pipeline.sandbox.process import SandboxProcess
from xeno_pipeline.sandbox.spec import StoreSpec
from xeno_pipeline.settings import PROJECT_DIR, load_settings
from xeno_pipeline.warehouse.embedded import EmbeddedServer

TENANTS = ("north", "south")
_START_SECONDS = 120


@pytest.fixture(scope="module")
def dagster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI's address; its tenants are connected, and nothing was read of them yet."""
    home = tmp_path_factory.mktemp("home")
    stores = [StoreSpec(handle, orders=60, plan="Enterprise") for handle in TENANTS]
    with pytest.MonkeyPatch.context() as environment, SandboxProcess(stores, home / "sandbox") as sandbox:
        environment.setenv("XENO_HOME", str(home))
        environment.setenv("DAGSTER_HOME", str(dagster_home(load_settings())))
        try:
            for handle in TENANTS:
                add = ["tenant", "add", handle, "--api-url", f"{sandbox.url}/{handle}"]
                subprocess.run([sys.executable, "-m", "xeno_pipeline.cli", *add], check=True)
            with _dagster_dev(home / "dagster.log") as url:
                yield url
        finally:
            EmbeddedServer(home).stop()


@contextlib.contextmanager
def _dagster_dev(log: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else it inherits the deafness of a background job
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=PROJECT_DIR, stdout=output, stderr=output, env=os.environ.copy())
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            assert process.poll() is None, f"dagster dev ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"dagster dev does not answer: {log.read_text()[-2000:]}"
            time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/server_info", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium from the distribution's packages."""
    opened = open_chromium()
    if opened is None:
        pytest.skip("Chromium and ChromeDriver are not installed (Debian: chromium, chromium-driver)")
    yield opened
    opened.quit()
