"""A store whose marts are made, for all tests of exports to read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shopify_sandbox.process import SandboxProcess
from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.tenants.credentials import KeyRing


@pytest.fixture(scope="session")
def exported(
    make_warehouse: Callable[[], Warehouse],
    sandbox: SandboxProcess,
    ring: KeyRing,
    tmp_path_factory: pytest.TempPathFactory,
) -> Warehouse:
    """A database with the marts of `shelf`, and a second tenant without any rows."""
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, tmp_path_factory.mktemp("spool"))
    installation.sync(installation.connect(Shop(sandbox, "shelf")))
    warehouse.transform("shelf")
    warehouse.register([("empty", "Asia/Tokyo", "JPY")])
    return warehouse


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are written to."""
    made = tmp_path / "files"
    made.mkdir()
    return made
