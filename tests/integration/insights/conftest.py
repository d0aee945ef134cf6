"""Stores whose marts are made once for a module of tests, which change nothing in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import Shop
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.tenants.credentials import KeyRing

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse


@pytest.fixture(scope="package")
def template(
    make_warehouse: Callable[..., Warehouse], depot: Shop, ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """Three stores with marts, to be copied: no session stays in a database that is."""
    from tests.support.insights import make_stores

    return make_stores(make_warehouse, depot, ring, tmp_path_factory.mktemp("spool"))


@pytest.fixture(scope="package")
def marts(make_warehouse: Callable[..., Warehouse], template: Warehouse) -> Warehouse:
    """Three stores with marts."""
    return make_warehouse(template)


@pytest.fixture
def connection(marts: Warehouse) -> Iterator[Connection]:
    """A session of the owner's, for which names without a schema are those of marts."""
    with marts.database.connect() as connection:
        connection.execute("set search_path = marts")
        yield connection
