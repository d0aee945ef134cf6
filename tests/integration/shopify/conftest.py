"""Stores of a sandbox, and clients of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from shopify_sandbox.control import StoreControl
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from xeno_pipeline.shopify.client import ShopifyClient


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A server with a store that tests only read, and one that they may change."""
    until = datetime(2026, 6, 30, tzinfo=UTC)
    specs = [
        StoreSpec("steady", orders=300, until=until, plan="Enterprise"),
        StoreSpec("lively", orders=40, until=until, plan="Enterprise"),
        StoreSpec("empty", orders=0, until=until, plan="Enterprise"),
    ]
    with SandboxProcess(specs, tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def store(sandbox: SandboxProcess) -> Callable[[str], tuple[ShopifyClient, StoreControl]]:
    """A client and the controls of a sandbox store, without faults of earlier tests; it polls fast."""

    def of(handle: str) -> tuple[ShopifyClient, StoreControl]:
        control = sandbox.control.store(handle)
        control.clear_faults()
        control.reset_stats()
        spec = next(spec for spec in sandbox.specs if spec.handle == handle)
        return ShopifyClient(tenant=handle, api_url=control.api_url, token=spec.token, sleep=_nap), control

    return of


def _nap(seconds: float) -> None:
    time.sleep(min(seconds, 0.02))  # the sandbox works in a process of its own, on real time
