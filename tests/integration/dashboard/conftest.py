"""A store of 60 orders, one without any, and one that has no marts yet, with a dashboard over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.dashboard import Dashboard, Visitor, dashboard_over
from tests.support.installation import Installation, Shop
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.tenants.credentials import KeyRing

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

STORES = ("shelf", "void")


@pytest.fixture(scope="package")
def marts(
    make_warehouse: Callable[[], Warehouse], depot: Shop, ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """The stores' database."""
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, tmp_path_factory.mktemp("spool"))
    for handle in STORES:
        installation.sync(installation.connect(Shop(depot.sandbox, handle)))
    warehouse.transform()
    installation.connect(Shop(depot.sandbox, "depot"))
    return warehouse


@pytest.fixture(scope="package")
def dashboard(marts: Warehouse) -> Iterator[Dashboard]:
    """The pages."""
    with dashboard_over(marts.database) as dashboard:
        yield dashboard


@pytest.fixture(scope="package")
def analyst(dashboard: Dashboard) -> Visitor:
    """Somebody who sees all stores, and people in them."""
    return dashboard.sign_in(Role.ANALYST)


@pytest.fixture(scope="package")
def viewer(dashboard: Dashboard) -> Visitor:
    """Somebody who sees `shelf`, and no people."""
    return dashboard.sign_in(Role.VIEWER, "shelf")
