"""From the store to the marts, with real processes: sandbox, gateway, Dagster's daemon, PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.xeno import Xeno
from tests.gateway.gateway_process import SECRET, GatewayProcess
from tests.installation import Installation, Shop
from xeno_pipeline.orchestration.instance import dagster_home
from xeno_pipeline.settings import PROJECT_DIR, Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.warehouse.connection import Database

SECONDS = 200
"""For an event to arrive. It takes a tenth of that, but on a machine that runs all tests at once."""


@pytest.fixture
def machine(database: Database, tmp_path: Path) -> Installation:
    home = tmp_path / "home"
    return Installation(database, load_key_ring(Settings(home=home)), home / "spool")


@pytest.fixture
def daemon(machine: Installation, tmp_path: Path) -> Iterator[None]:
    """Dagster's daemon, which evaluates the sensor and launches runs; at the end it and what it started are ended."""
    home = machine.spool.parent
    command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(PROJECT_DIR / "workspace.yaml")]
    environment = {
        **os.environ,
        "XENO_HOME": str(home),
        "XENO_DATABASE_URL": machine.database.url,
        "DAGSTER_HOME": str(dagster_home(Settings(home=home))),
    }
    with (tmp_path / "daemon.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT_DIR, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    yield
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.timeout(900)
def test_what_happens_in_a_store_is_in_its_marts_soon(
    machine: Installation, shop: Shop, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    xeno = Xeno(machine.spool.parent, {"XENO_DATABASE_URL": machine.database.url})
    machine.connect(shop)
    assert xeno("sync", shop.handle).exit_code == 0
    request.getfixturevalue("daemon")

    with GatewayProcess(machine.database.url, tmp_path) as gateway:
        shop.control.send_webhooks(f"{gateway.url}/webhooks/shopify", SECRET, duplicates=0.5, disorder=0.5)
        (order,) = shop.control.place_order(new_customer=True)["orders"]
        first = _seconds_until(machine, "select count(*) = 1 from marts.fct_orders where order_id = %s", order)
        (order,) = shop.control.place_order()["orders"]
        placed = _seconds_until(machine, "select count(*) = 1 from marts.fct_orders where order_id = %s", order)
        shop.control.refund(order)
        refunded = _seconds_until(machine, "select returns < 0 from marts.fct_orders where order_id = %s", order)
        shop.control.delete_order(order)
        deleted = _seconds_until(machine, "select count(*) = 0 from marts.fct_orders where order_id = %s", order)
        _seconds_until(machine, "select bool_and(in_marts_at is not null) from ops.webhook_inbox")

    seconds = {"first order": first, "order": placed, "refund": refunded, "deletion": deleted}
    print("seconds to the marts:", ", ".join(f"{name} {took:.1f}" for name, took in seconds.items()))
    assert machine.value("select count(*) from ops.webhook_inbox where dead_at is not null") == 0
    runs = machine.value("select count(*) from dagster.runs where pipeline_name = 'events'")
    assert 4 <= runs <= machine.value("select count(*) from ops.webhook_inbox")


def _seconds_until(machine: Installation, question: str, *values: object) -> float:
    """How long it takes until the answer is yes."""
    started = time.monotonic()
    while time.monotonic() < started + SECONDS:
        if machine.query(question, *values) == [(True,)]:
            return time.monotonic() - started
        time.sleep(0.1)
    rows = machine.query("select topic, attempts, error, done_at, in_marts_at from ops.webhook_inbox order by id")
    raise AssertionError(f"Not within {SECONDS} s: {question} {values}; the inbox: {rows}")
