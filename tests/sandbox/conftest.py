"""One running sandbox for the tests that only read, and a way to ask it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sandbox_client import AdminClient

from xeno_pipeline.sandbox.process import SandboxProcess
from xeno_pipeline.sandbox.spec import StoreSpec

UNTIL = datetime(2026, 6, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A server of two stores, shared: tests that change a store take `fresh` ones of their own."""
    specs = [
        StoreSpec("berlin", orders=1200, currency="EUR", timezone="Europe/Berlin", until=UNTIL),
        StoreSpec("tokyo", orders=300, currency="JPY", timezone="Asia/Tokyo", until=UNTIL),
    ]
    with SandboxProcess(specs, tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="session")
def berlin(sandbox: SandboxProcess) -> AdminClient:
    return AdminClient(f"{sandbox.url}/berlin")
