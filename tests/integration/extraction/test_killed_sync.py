"""A sync killed with SIGKILL at any moment loses nothing: the next one ends with the rows of an undisturbed one."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.installation import Installation, Rows, Shop, changed
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import PROJECT_DIR, Settings
from xeno_pipeline.tenants.credentials import load_key_ring

pytestmark = pytest.mark.thorough

KILLS = 10
MOMENTS = [(number + random.Random(number).random()) / KILLS for number in range(KILLS)]
"""Shares of an undisturbed sync's duration: one at random in each tenth."""


@dataclass(frozen=True)
class Undisturbed:
    """What a sync does that nobody kills."""

    home: Path
    rows: Rows
    seconds: float
    seconds_of_load: float


def connected(make_database: Callable[[], Database], home: Path, shop: Shop) -> Installation:
    """A fresh database with the store as a tenant, nothing of it read yet."""
    installation = Installation(make_database(), load_key_ring(Settings(home=home)), home / "spool")
    installation.connect(shop)
    return installation


def start(installation: Installation, home: Path, shop: Shop, *options: str) -> subprocess.Popen[str]:
    """Start a sync in a process of its own; it is about to begin when this returns."""
    command = [sys.executable, "-m", "tests.support.sync_process", installation.database.url, str(home), shop.handle]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=PROJECT_DIR)
    wait_for(process, "started")
    return process


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Wait until the process says so."""
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    time.sleep(seconds)  # the moment is the point of the test
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def undisturbed(
    make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory, depot: Shop
) -> Undisturbed:
    home = tmp_path_factory.mktemp("undisturbed")
    installation = connected(make_database, home, depot)
    process = start(installation, home, depot)
    started = time.monotonic()
    wait_for(process, "loading")
    loading = time.monotonic()
    wait_for(process, "done")
    done = time.monotonic()
    process.communicate()
    return Undisturbed(home, installation.raw(), done - started, done - loading)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment:.0%}")
def test_after_a_killed_first_sync_the_next_ends_with_the_same_rows(
    make_database: Callable[[], Database], undisturbed: Undisturbed, depot: Shop, moment: float
) -> None:
    installation = connected(make_database, undisturbed.home, depot)
    kill_after(start(installation, undisturbed.home, depot), moment * undisturbed.seconds)

    installation.sync(installation.tenants()[0])

    assert changed(undisturbed.rows, installation.raw()) == {}
    assert list(installation.spool.iterdir()) == []


@pytest.mark.parametrize("moment", MOMENTS[::4], ids=lambda moment: f"{moment:.0%}")
def test_after_a_sync_killed_amid_its_load_the_next_ends_with_the_same_rows(
    make_database: Callable[[], Database], undisturbed: Undisturbed, depot: Shop, moment: float
) -> None:
    installation = connected(make_database, undisturbed.home, depot)
    process = start(installation, undisturbed.home, depot)
    wait_for(process, "loading")
    kill_after(process, moment * undisturbed.seconds_of_load)

    installation.sync(installation.tenants()[0])

    assert changed(undisturbed.rows, installation.raw()) == {}


def test_after_a_reload_killed_amid_its_load_the_next_ends_with_the_same_rows(
    make_database: Callable[[], Database], undisturbed: Undisturbed, depot: Shop
) -> None:
    installation = connected(make_database, undisturbed.home, depot)
    tenant = installation.tenants()[0]
    installation.sync(tenant)
    with installation.database.connect() as connection:  # so that the reload has something to write
        connection.execute("update raw.orders set payload = '{}' where mod(id, 2) = 0")
        connection.execute("delete from raw.order_sales where agreement_id < 'gid://shopify/SalesAgreement/5'")
    process = start(installation, undisturbed.home, depot, "--full")
    wait_for(process, "loading")
    kill_after(process, 0.5 * undisturbed.seconds_of_load)

    installation.sync(tenant, full=True)

    assert changed(undisturbed.rows, installation.raw()) == {}
