"""Sandboxes for the tests: one server for those that only read, stores in this process for those that change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.tests.client import UNTIL, AdminClient, LocalClient, opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tier is the pipeline's: the sandbox's own tests are left to `make test-all`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A server of two stores that no test changes."""
    specs = [
        StoreSpec("berlin", orders=1200, currency="EUR", timezone="Europe/Berlin", until=UNTIL, plan="Enterprise"),
        StoreSpec("tokyo", orders=300, currency="JPY", timezone="Asia/Tokyo", until=UNTIL, plan="Enterprise"),
    ]
    with SandboxProcess(specs, tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="session")
def berlin(sandbox: SandboxProcess) -> AdminClient:
    return AdminClient(f"{sandbox.url}/berlin")


@pytest.fixture(scope="session")
def tokyo(sandbox: SandboxProcess) -> AdminClient:
    return AdminClient(f"{sandbox.url}/tokyo")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., LocalClient]]:
    """Opens stores in this process."""
    with ExitStack() as stack:

        def open_store(handle: str = "acme", **facts: Any) -> LocalClient:
            return stack.enter_context(opened(tmp_path, handle, **facts))

        yield open_store
