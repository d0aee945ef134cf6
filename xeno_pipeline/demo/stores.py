"""The demo's stores: served by a sandbox, and connected as tenants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from shopify_sandbox.control import SandboxControl, StoreControl
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec, demo_specs
from xeno_pipeline.database.connection import Database
from xeno_pipeline.demo.listening import usable_port
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import connect_store
from xeno_pipeline.tenants.registry import Tenant


@dataclass(frozen=True)
class ServedStores:
    """The demo's stores, answering.

    Args:
        url: the sandbox's.
        by_another: another process (`make dev`) served them already.
    """

    url: str
    by_another: bool

    def control(self, tenant: Tenant) -> StoreControl:
        """The controls of a tenant's store."""
        return SandboxControl(self.url).store(tenant.tenant_id)


@contextmanager
def serve_demo_stores(settings: Settings, database: Database) -> Iterator[ServedStores]:
    """The demo's stores, answering for the length of a `with`, at the address that its tenants are registered with.

    A sandbox that serves them already (`make dev` in another terminal) is used and left running. Where the usual
    port is taken by something else, a free one serves, and the tenants are moved there.
    """
    specs = demo_specs()
    url = _serving(database, specs)
    if url is not None:
        yield ServedStores(url, by_another=True)
        return
    with SandboxProcess(specs, settings.home / "sandbox", usable_port(settings.sandbox_port)) as sandbox:
        with database.connect() as connection:
            for tenant in _known(database, specs):
                registry.move(connection, tenant.tenant_id, f"{sandbox.url}/{tenant.tenant_id}")
        yield ServedStores(sandbox.url, by_another=False)


def connect_demo_stores(settings: Settings, database: Database, url: str) -> list[Tenant]:
    """Register those of the demo's stores that are no tenants yet; suspended ones are resumed.

    Args:
        settings: where the keys are.
        database: where tenants are registered.
        url: the sandbox's.

    Returns:
        All of the demo's tenants.
    """
    ring = load_key_ring(settings)
    known = {tenant.tenant_id for tenant in _known(database, demo_specs())}
    for spec in demo_specs():
        if spec.handle in known:
            with database.connect() as connection:
                registry.set_status(connection, spec.handle, "active")
        else:
            api_url = f"{url}/{spec.handle}"
            connect_store(database, ring, handle=spec.handle, api_url=api_url, token=DEFAULT_TOKEN)
    return _known(database, demo_specs())


def _known(database: Database, specs: list[StoreSpec]) -> list[Tenant]:
    handles = {spec.handle for spec in specs}
    with database.connect() as connection:
        return [tenant for tenant in registry.list_all(connection) if tenant.tenant_id in handles]


def _serving(database: Database, specs: list[StoreSpec]) -> str | None:
    """The URL of a sandbox that serves all of the demo's tenants at this moment."""
    urls = {tenant.api_url.rpartition("/")[0] for tenant in _known(database, specs)}
    for url in urls if len(urls) == 1 else ():
        with contextlib.suppress(requests.RequestException, ValueError):
            served = {store["handle"] for store in SandboxControl(url).stores()}
            if served.issuperset(spec.handle for spec in specs):
                return url
    return None
