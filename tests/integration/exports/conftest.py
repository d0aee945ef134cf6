"""A store whose marts are made, for all tests of exports to read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shopify_sandbox.process import SandboxProcess
from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import Warehouse
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.segments.registry import save_segment
from xeno_pipeline.tenants.credentials import KeyRing


@pytest.fixture(scope="package")
def exported(
    make_warehouse: Callable[[], Warehouse],
    sandbox: SandboxProcess,
    ring: KeyRing,
    tmp_path_factory: pytest.TempPathFactory,
) -> Warehouse:
    """A database with the marts of `shelf`, of which some customers are in a segment, and a tenant without rows."""
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, tmp_path_factory.mktemp("spool"))
    installation.sync(installation.connect(Shop(sandbox, "shelf")))
    with warehouse.database.connect() as connection:
        save_segment(connection, "shelf", "Returning", "number_of_orders >= 2")
    warehouse.transform("shelf")
    warehouse.register([("empty", "Asia/Tokyo", "JPY")])
    return warehouse


@pytest.fixture
def xeno(
    exported: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """`xeno` on that database, within this process; it must end by itself."""
    command = Xeno(tmp_path / "home", {"XENO_DATABASE_URL": exported.database.url})
    return command.within_this_process(monkeypatch, capfd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are written to."""
    made = tmp_path / "files"
    made.mkdir()
    return made
