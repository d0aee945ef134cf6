from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation
from xeno_pipeline.database.connection import Database
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.registry import Tenant


@pytest.fixture(scope="module")
def kept(
    make_database: Callable[[], Database], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """A database with one tenant, acme, which the tests of a file share."""
    installation = Installation(make_database(), ring, tmp_path_factory.mktemp("spool"))
    facts = ("gid://shopify/Shop/1", "acme.myshopify.com", "http://127.0.0.1:9/acme", "Acme", "EUR", "UTC", "Plus", [])
    with installation.database.connect() as connection:
        registry.add(connection, Tenant("acme", *facts))
    return installation


@pytest.fixture(scope="module")
def gateway(kept: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(kept.database.url, folder) as process:
        yield process
