"""Databases with the marts made, and a tenant to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.tenants.registry import Tenant

if TYPE_CHECKING:  # dbt takes seconds to import, and most tests do without it
    from tests.support.marts.warehouse import Warehouse
    from tests.support.parsed_project import ParsedProject


@pytest.fixture(scope="session")
def make_warehouse(
    make_database: Callable[..., Database], parsed_project: ParsedProject, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Warehouse]:
    """Makes databases with the marts' relations and no tenant yet, or copies of such a one with all that it holds."""
    from pydantic import SecretStr

    from tests.support.marts.warehouse import Warehouse
    from xeno_pipeline.marts.dbt import DbtProject
    from xeno_pipeline.marts.transform import make_relations
    from xeno_pipeline.settings import Settings

    home = tmp_path_factory.mktemp("dbt-home")

    def project(database: Database) -> DbtProject:
        return DbtProject(Settings(home=home, database_url=SecretStr(database.url)))

    database = make_database()
    empty = Warehouse(database, project(database))
    make_relations(database, empty.project)

    def make(template: Warehouse = empty) -> Warehouse:
        with template.database.connect() as connection:
            name = connection.info.dbname
        database = make_database(name)
        return Warehouse(database, project(database))

    return make


@pytest.fixture
def warehouse(
    make_warehouse: Callable[[], Warehouse], drop_database: Callable[[Database], None]
) -> Iterator[Warehouse]:
    """A database of the test's own with the marts made, and no tenant yet."""
    warehouse = make_warehouse()
    yield warehouse
    drop_database(warehouse.database)


@pytest.fixture
def tenant(installation: Installation, shop: Shop) -> Tenant:
    """A tenant whose history is in raw."""
    tenant = installation.connect(shop)
    installation.sync(tenant)
    return tenant
