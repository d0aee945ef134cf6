"""`make demo`: what a newcomer sees first. It ends by itself, and run twice it works twice; its dashboard stays."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from shopify_sandbox.spec import demo_specs
from tests.support.loopback import answers
from xeno_pipeline.access.secret import is_secret
from xeno_pipeline.database.connection import Connection, open_database
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
def test_the_demo_ends_with_every_store_in_the_marts_and_works_twice(demo: Demo, tmp_path: Path) -> None:
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
    with open_database(Settings(home=tmp_path / "home", database_url=None)).connect() as connection:
        for spec in demo_specs():
            _compare_with_marts(connection, spec.handle, _link(first.stdout).partition("/sign-in")[0], key[0])
        runs = set(connection.execute("select pipeline_name, status from dagster.runs").fetchall())
        assert runs >= {("sync", "SUCCESS"), ("events", "SUCCESS")}
        assert "FAILURE" not in {status for _, status in runs}  # a schedule's turn may have come, too

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


def _compare_with_marts(connection: Connection, store: str, url: str, key: str) -> None:
    """Ask the API that the demo left for figures of a store, and see that they are those of the marts."""

    def ask(path: str) -> Any:
        address = f"{url}/api/v1/stores/{store}/{path}"
        return requests.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=60).json()["data"]

    def have(query: str) -> list[list[Any]]:
        return [[_as_json(value) for value in row] for row in connection.execute(query, [store]).fetchall()]

    def those(rows: list[dict[str, Any]], *columns: str) -> list[list[Any]]:
        return [[row[column] for column in columns] for row in rows]

    for grain in ("day", "month", "year"):
        columns = ("period_start", "orders", "customers", "new_customers", "net_sales", "total_sales")
        trends = have(
            f"select {', '.join(columns)} from marts.revenue_trends "
            f"where tenant_id = %s and grain = '{grain}' order by period_start"
        )
        assert those(ask(f"sales?grain={grain}&from=2000-01-01")["data"], *columns) == trends != []
    of_segments = ("rfm_segment", "customers", "net_sales", "share_of_net_sales")
    segments = have(f"select {', '.join(of_segments)} from marts.rfm_segments where tenant_id = %s")
    assert sorted(those(ask("rfm")["segments"], *of_segments)) == sorted(segments)
    best = have("select customer_id, email, net_sales from marts.top_customers where tenant_id = %s order by rank")
    assert those(ask("customers/top?limit=100"), "customer_id", "email", "net_sales") == best != []
    cohorts = have(
        "select cohort_month, cohort_size, array_agg(retention_rate::text order by period_number) "
        "from marts.cohort_retention where tenant_id = %s group by 1, 2 order by 1"
    )
    assert those(ask("cohorts?measure=retention")["cohorts"], "cohort_month", "cohort_size", "values") == cohorts != []


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, Decimal) else value


def _changes(shown: str) -> int:
    """How many stores' figures changed by what happened in them while the demo looked on."""
    _, _, real_time = shown.partition("\n5. ")
    return sum("→" in line for line in real_time.splitlines())
