"""Two installations, with a database and keys each, and a tenant in the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopify_sandbox.process import SandboxProcess
from tests.support import moving as move
from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.registry import Tenant

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

OTHER_RING = KeyRing({"other": bytes(range(1, 33))})


@pytest.fixture(scope="module")
def synced(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, sandbox: SandboxProcess, make_home: Callable[[], Path]
) -> Warehouse:
    """A database with the raw rows of a store that no test changes."""
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, make_home())
    installation.sync(installation.connect(Shop(sandbox, "shelf")))
    return warehouse


@pytest.fixture(scope="module")
def bare(make_warehouse: Callable[[], Warehouse], make_home: Callable[[], Path]) -> Installation:
    """An installation without tenants, for archives that it refuses."""
    return Installation(make_warehouse().database, OTHER_RING, make_home())


@pytest.fixture(scope="module")
def archive(
    make_warehouse: Callable[..., Warehouse], synced: Warehouse, ring: KeyRing, make_home: Callable[[], Path]
) -> Path:
    """The archive of that store."""
    folder = make_home()
    folder.mkdir()
    move.export(Installation(make_warehouse(synced).database, ring, folder), "shelf", folder / "archive")
    return folder / "archive"


@pytest.fixture
def there(
    make_warehouse: Callable[..., Warehouse],
    synced: Warehouse,
    drop_database: Callable[[Database], None],
    ring: KeyRing,
    tmp_path: Path,
) -> Iterator[Installation]:
    """Where the tenant is."""
    database = make_warehouse(synced).database
    yield Installation(database, ring, tmp_path / "there")
    drop_database(database)


@pytest.fixture
def here(
    make_warehouse: Callable[[], Warehouse], drop_database: Callable[[Database], None], tmp_path: Path
) -> Iterator[Installation]:
    """Where it moves to."""
    database = make_warehouse().database
    yield Installation(database, OTHER_RING, tmp_path / "here")
    drop_database(database)


@pytest.fixture
def moving(there: Installation) -> Tenant:
    """The tenant, with raw rows and no marts yet."""
    (tenant,) = there.tenants()
    return tenant
