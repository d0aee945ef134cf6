"""A full disk, of the spool or of the database, is told of; nothing is half-written, and room mends it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough


@contextmanager
def no_larger_files_than(size: int) -> Iterator[None]:
    """Let this process write no file beyond so many bytes: as good as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_the_spools_disk_is_full_nothing_is_loaded(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)

    with no_larger_files_than(50_000):
        error = installation.error_of(tenant, "orders")

    assert str(error) == (
        "The disk of the spool (in XENO_HOME) has no room left for orders of shelf; nothing was loaded. "
        "Make room, and run the sync again."
    )
    assert installation.value("select count(*) from raw.orders") == 0
    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 MB: enough for an empty server and little besides."""
    folder = tmp_path / "disk"
    folder.mkdir()
    may_mount = os.geteuid() == 0 and shutil.which("mount") is not None
    if not may_mount or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder]).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def cramped(small_disk: Path, ring: KeyRing, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose database lies on a small disk; its spool has room."""
    server = EmbeddedServer(small_disk / "home")
    database = Database(server.ensure_running())
    migrate(database)
    yield Installation(database, ring, tmp_path / "spool")
    server.stop()


def test_where_the_databases_disk_is_full_nothing_is_loaded(
    cramped: Installation, small_disk: Path, depot: Shop
) -> None:
    tenant = cramped.connect(depot)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 2_000_000))

    error = cramped.error_of(tenant, "orders")

    assert str(error) == (
        "The database's disk has no room left for orders of depot; nothing was loaded. "
        "Make room, and run the sync again."
    )
    ballast.unlink()
    assert cramped.value("select count(*) from raw.orders") == 0
    assert cramped.sync(tenant, "orders")["orders"].tables["orders"].inserted == 1500
