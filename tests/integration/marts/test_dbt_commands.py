"""dbt as its users expect it: in the project's folder, with the documented environment, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.database.connection import connection_variables
from xeno_pipeline.marts.dbt import DBT_PROJECT_DIR

pytestmark = pytest.mark.thorough


def test_build_makes_all_marts_and_every_test_passes(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.register([("acme", "Asia/Tokyo", "EUR")])
    store = Store("acme")
    product = store.add_product()
    orders = [store.place_order(store.add_customer(), hour=1000 + hour, product=product) for hour in range(9)]
    store.refund(orders[0], hour=1400)
    store.load(warehouse)

    _dbt(warehouse, tmp_path, "build")
    built = warehouse.marts()

    assert sum(built["marts.fct_orders"].values()) == 9
    assert warehouse.value("select count(*) from stale.orders") == 0
    assert warehouse.value("select count(*) from marts.rfm_history") == 9
    warehouse.transform()
    assert differences(built, warehouse.marts()) == {}


@pytest.mark.parametrize("command", ["test", "docs"])
def test_other_commands_change_nothing(warehouse: Warehouse, tmp_path: Path, command: str) -> None:
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    store.place_order(store.add_customer(), hour=1, product=None)
    store.load(warehouse)
    warehouse.transform()
    before = warehouse.marts()

    _dbt(warehouse, tmp_path, *(("docs", "generate") if command == "docs" else ("test",)))

    assert differences(before, warehouse.marts()) == {}
    assert warehouse.value("select count(*) from stale.orders") == 0
    if command == "docs":
        assert (tmp_path / "target" / "catalog.json").exists()


def _dbt(warehouse: Warehouse, folder: Path, *command: str) -> None:
    environment = {**os.environ, **connection_variables(warehouse.database.url), "DBT_TARGET_PATH": f"{folder}/target"}
    environment |= {"DBT_LOG_PATH": f"{folder}/logs", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), *command],
        cwd=DBT_PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
