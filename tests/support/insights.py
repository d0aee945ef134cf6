"""Stores with marts to ask about, and an API that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from tests.support.installation import Installation, Shop
from tests.support.serving import serving_pool
from xeno_pipeline.api.app import PATH
from xeno_pipeline.api.event_streams import EventStreams
from xeno_pipeline.api.server import build_app
from xeno_pipeline.api.store_request import Backend
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing

if TYPE_CHECKING:
    from httpx import Response

    from tests.support.marts.warehouse import Warehouse

STORES = ("depot", "shelf", "void")
"""Of 1,500 orders, of 60 and of none."""


def make_stores(make_warehouse: Callable[[], Warehouse], depot: Shop, ring: KeyRing, spool: Path) -> Warehouse:
    """A database with the marts of three stores."""
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, spool)
    for handle in STORES:
        installation.sync(installation.connect(Shop(depot.sandbox, handle)))
    warehouse.transform()
    return warehouse


@dataclass(frozen=True)
class Api:
    """An API in this process."""

    client: TestClient

    @property
    def streams(self) -> EventStreams:
        """Its streams of events."""
        process: Any = self.client.app
        mounted = next(route for route in process._app.routes if getattr(route, "path", None) == PATH)
        backend: Backend = mounted.app.backend
        return backend.streams

    def get(self, path: str, key: str | None, headers: Mapping[str, str] | None = None, **parameters: Any) -> Response:
        """GET a path under /api/v1 with a key."""
        given = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        return self.client.get(f"/api/v1{path}", headers=given, params=parameters or None)


@contextmanager
def api_over(database: Database, **settings: Any) -> Iterator[Api]:
    """An API over a database, for the length of a `with`."""
    usual = {"insights_requests_per_minute": 1_000_000}
    with serving_pool(database) as pool:
        app = build_app(pool, Settings(**{**usual, **settings}))
        api = Api(TestClient(app, raise_server_exceptions=False))
        api.streams.longest_seconds = 0.1  # a test that asks for anything waits for no sync that nobody runs
        yield api
