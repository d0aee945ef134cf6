"""`make demo`: what a newcomer sees first. It ends by itself, and run twice it works twice; its dashboard stays."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from shopify_sandbox.spec import demo_specs
from tests.support.loopback import answers
from xeno_pipeline.access.secret import is_secret
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.demo.left_insights import end_left_insights
from xeno_pipeline.settings import Settings

pytestmark = pytest.mark.thorough

_SEGMENTS = (
    *("Champions", "Loyal", "Potential loyalist", "New customers", "Promising", "Need attention", "About to sleep"),
    *("At risk", "Cannot lose", "Hibernating", "Lost"),
)

Demo = Callable[[], subprocess.CompletedProcess[str]]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port where something else listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def demo(tmp_path: Path, taken_port: int) -> Iterator[Demo]:
    """Runs the demo in a home of its own, whose usual ports are taken."""
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "XENO_HOME": str(home),
        "XENO_SANDBOX_PORT": str(taken_port),
        "XENO_GATEWAY_PORT": str(taken_port),
        "XENO_INSIGHTS_PORT": str(taken_port),
    }

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "xeno_pipeline.cli", "demo"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    yield run
    end_left_insights(Settings(home=home))
    EmbeddedServer(home).stop()


@pytest.mark.timeout(600)
def test_the_demo_ends_with_every_store_in_the_marts_and_works_twice(demo: Demo) -> None:
    first = demo()
    assert first.returncode == 0, first.stderr
    for spec in demo_specs():
        assert f"{spec.currency} · {spec.timezone}" in first.stdout
    for table in ("Revenue by month", "Customers by RFM segment", "Share of a month's new customers"):
        assert first.stdout.count(table) == len(demo_specs())
    for segment in _SEGMENTS:
        assert len(re.findall(rf"^\W*{segment}  ", first.stdout, re.MULTILINE)) == len(demo_specs()), segment
    assert _changes(first.stdout) == len(demo_specs())
    assert "make dev" in first.stdout
    assert first.stdout.count("curl -H") == 3
    key = re.findall(r"export KEY=(\S+)", first.stdout)
    assert [is_secret(each) for each in key] == [True]
    assert re.search(r"has [1-9]\d* members", first.stdout)
    _see_the_stores(_link(first.stdout))

    second = demo()
    assert second.returncode == 0, second.stderr
    assert "bulk" not in second.stdout, "the history was read again"
    assert second.stdout.count("Revenue by month") == len(demo_specs())
    assert _changes(second.stdout) == len(demo_specs())
    assert not answers(_link(first.stdout))  # another process has taken its place
    _see_the_stores(_link(second.stdout))


def _link(shown: str) -> str:
    """The last line, which signs in to the dashboard."""
    link = shown.splitlines()[-1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/sign-in/xeno_\w+", link), shown
    return link


def _see_the_stores(link: str) -> None:
    """Sign in as a browser does, and see that the dashboard has all stores."""
    with requests.Session() as browser:
        token = re.search(r'name="token" value="(\w+)"', browser.get(link, timeout=30).text)
        assert token is not None
        page = browser.post(link, data={"token": token[1]}, timeout=30)
        assert page.url.endswith("/stores")
        for spec in demo_specs():
            assert f"/stores/{spec.handle}" in page.text


def _changes(shown: str) -> int:
    """How many stores' figures changed by what happened in them while the demo looked on."""
    _, _, real_time = shown.partition("\n5. ")
    return sum("→" in line for line in real_time.splitlines())
