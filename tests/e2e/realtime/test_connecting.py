"""A merchant connects a store, with real processes: browser, gateway, sandbox, Dagster's daemon, PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation, Shop
from tests.support.loopback import free_port
from tests.support.merchant import APP, Browser
from tests.support.xeno_command import Xeno
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring

pytestmark = pytest.mark.thorough

SECONDS = 240.0
"""For each step. It takes a tenth of that, but on a machine that runs all tests at once."""


@pytest.fixture
def machine(database: Database, tmp_path: Path) -> Installation:
    home = tmp_path / "home"
    assert Xeno(home, {"XENO_DATABASE_URL": database.url})("db", "migrate").exit_code == 0
    return Installation(database, load_key_ring(Settings(home=home)), home / "spool")


@pytest.fixture
def gateway(
    machine: Installation, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayProcess]:
    """The gateway, where Shopify is told that it is; and the daemon with the same settings."""
    url = f"http://127.0.0.1:{free_port()}"
    template = f"{shop.sandbox.url}/{{handle}}"
    settings = {**APP, "XENO_PUBLIC_URL": url, "XENO_SHOPIFY_URL_TEMPLATE": template}
    for name, value in {**settings, "XENO_DATABASE_URL": machine.database.url}.items():
        monkeypatch.setenv(name, value)
    gateway = GatewayProcess(machine.database.url, tmp_path, **settings)
    gateway.url = url
    with gateway, DaemonProcess(machine.spool.parent):
        yield gateway


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_merchant_connects_a_store_uninstalls_the_app_and_connects_it_again(
    gateway: GatewayProcess, machine: Installation, shop: Shop
) -> None:
    """Nobody does anything else: history, partition, webhooks and tokens take care of themselves."""
    browser = Browser(gateway.url, public_url=gateway.url)
    assert browser.connect(shop.handle).status_code == 200
    await_true(machine, "select count(*) = 60 from marts.fct_orders where tenant_id = %s", shop.handle)
    await_true(machine, "select count(*) = 1 from dagster.dynamic_partitions where partition = %s", shop.handle)
    await_true(machine, "select missing = '{}' from ops.webhook_subscriptions where tenant_id = %s", shop.handle)

    shop.control.expire_tokens()
    (order,) = shop.control.place_order()["orders"]
    await_true(machine, "select count(*) = 1 from marts.fct_orders where order_id = %s", order)

    shop.control.uninstall()
    await_true(machine, "select status = 'suspended' from ops.tenants where tenant_id = %s", shop.handle)
    (missed,) = shop.control.place_order()["orders"]

    assert browser.connect(shop.handle).status_code == 200
    await_true(machine, "select count(*) = 1 from marts.fct_orders where order_id = %s", missed)
    (order,) = shop.control.place_order()["orders"]
    await_true(machine, "select count(*) = 1 from marts.fct_orders where order_id = %s", order)


def await_true(machine: Installation, question: str, *values: object) -> None:
    """Wait until the answer is yes."""
    deadline = time.monotonic() + SECONDS
    while machine.query(question, *values) != [(True,)]:
        if time.monotonic() > deadline:
            inbox = machine.query("select topic, attempts, error, in_marts_at from ops.webhook_inbox order by id")
            requests = machine.query("select * from ops.syncs")
            raise AssertionError(f"Not within {SECONDS} s: {question} {values}; inbox {inbox}; requests {requests}")
        time.sleep(0.2)
