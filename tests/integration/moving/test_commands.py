"""`xeno tenant export|import` as the documentation says, between two installations with a gateway each.

The store is a real process that delivers webhooks by its subscriptions. It trades before, while and after it moves.
"""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.events import read
from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation, Shop
from tests.support.marts.report import sales_in_marts, sales_reported
from tests.support.marts.warehouse import Warehouse, differences
from tests.support.merchant import APP
from tests.support.parsed_project import ParsedProject
from tests.support.subscriptions import of, topics_at
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.defs.instance import dagster_home
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.subscriptions import TOPICS
from xeno_pipeline.tenants.credentials import load_key_ring

pytestmark = pytest.mark.thorough

_SECONDS_TO_DELIVER = 30.0
"""The store repeats a delivery after seconds."""


@dataclass(frozen=True)
class Machine:
    """An installation with its gateway, and `xeno` on it."""

    installation: Installation
    warehouse: Warehouse
    gateway: GatewayProcess
    xeno: Callable[..., Said]

    def __call__(self, *arguments: str, **how: str) -> Said:
        """Run a command, which must succeed."""
        said = self.xeno(*arguments, **how)
        assert said.exit_code == 0, said
        return said


MakeMachine = Callable[[str], Machine]


@pytest.fixture
def make_machine(
    make_warehouse: Callable[[], Warehouse],
    parsed_project: ParsedProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[MakeMachine]:
    with ExitStack() as running:

        def make(name: str) -> Machine:
            folder, database = tmp_path / name, make_warehouse().database
            folder.mkdir()
            secret = APP["XENO_SHOPIFY_API_SECRET"]
            settings = Settings(home=folder / "home", database_url=database.url)
            project = DbtProject(settings)
            parsed_project.put_into(project)
            gateway = running.enter_context(GatewayProcess(database.url, folder, XENO_SHOPIFY_API_SECRET=secret))
            environment = {
                "XENO_DATABASE_URL": database.url,
                "XENO_PUBLIC_URL": gateway.url,
                "DAGSTER_HOME": str(dagster_home(settings)),
                **APP,
            }
            xeno = Xeno(settings.home, environment).within_this_process(monkeypatch, capfd)
            installation = Installation(database, load_key_ring(settings), folder / "spool")
            return Machine(installation, Warehouse(database, project), gateway, xeno)

        yield make


def await_delivery(shop: Shop) -> None:
    """Wait until the store's webhooks were answered, all of them with 200."""
    deadline = time.monotonic() + _SECONDS_TO_DELIVER
    while (counts := shop.control.webhooks())["waiting"]:
        assert time.monotonic() < deadline, counts
        time.sleep(0.05)
    assert counts["given_up"] == 0


def trade(shop: Shop) -> None:
    """An order, a refund, an order that is deleted, a new customer, and a cart, of which only webhooks tell."""
    (order,) = shop.control.place_order(new_customer=True)["orders"]
    shop.control.refund(order)
    shop.control.place_order()
    shop.control.delete_order()
    shop.control.fill_cart(lines=2)
    await_delivery(shop)


def test_a_store_moves_and_nothing_is_lost(make_machine: MakeMachine, shop: Shop, tmp_path: Path) -> None:
    old, new = make_machine("old"), make_machine("new")
    name, archive, rest = shop.handle, str(tmp_path / "acme.zip"), str(tmp_path / "rest.zip")
    old("tenant", "add", name, "--api-url", shop.api_url)
    old("webhooks", "register", name)
    old("sync", name)
    old("segment", "add", name, "Repeated", "number_of_orders > 1")
    old("tenant", "bi-role", name)
    old("transform", name)
    trade(shop)

    exported = old("tenant", "export", name, archive)
    key = exported.out.split()[-1]
    assert stat.S_IMODE(Path(archive).stat().st_mode) == 0o600
    assert re.search(rf"^{name} .* moving ", old("tenant", "list").out, re.MULTILINE)
    assert f"{name} is moving: `xeno tenant resume {name}`" in old.xeno("sync", name).err
    trade(shop)

    imported = new("tenant", "import", archive, "--key", "-", stdin=f"{key}\n")
    assert f"{name} is imported" in imported.out
    assert "The BI role bi is called xeno_bi_" in imported.err, "both databases are on one server"
    assert topics_at(shop, f"{new.gateway.url}/webhooks/shopify") == sorted(TOPICS)
    assert len(of(shop).list_all()) == len(TOPICS), "the former subscriptions are these, with another address"
    trade(shop)

    lossy = old.xeno("tenant", "remove", name, "--yes")
    assert lossy.exit_code == 2
    assert re.search(rf"webhooks or privacy requests came to {name} since .* --rest", lossy.err)
    old("tenant", "export", name, rest, "--rest", "--key", "-", stdin=f"{key}\n")
    new("tenant", "import", rest, "--key", "-", stdin=f"{key}\n")
    old("tenant", "remove", name, "--yes")
    assert topics_at(shop, f"{new.gateway.url}/webhooks/shopify") == sorted(TOPICS)

    (tenant,) = new.installation.tenants()
    read(new.installation, tenant)
    new("sync", name)
    assert new.installation.value("select count(*) from raw.carts") == 3, "one from each part of its life"
    assert sales_in_marts(new.warehouse, name, "day") == sales_reported(shop.control, "day")
    members = new.warehouse.value("select count(*) from marts.segment_members")
    repeated = "select count(*) from marts.dim_customers where orders_count > 1"
    assert members == new.warehouse.value(repeated) > 0
    marts = new.warehouse.marts()
    new.warehouse.rebuild(refit=True)
    assert differences(marts, new.warehouse.marts()) == {}
    new.installation.settle()
    full = new.installation.sync(tenant, full=True)
    assert {stream: report.rows_changed for stream, report in full.items() if report.rows_changed} == {}
