"""A database with three tenants' marked rows in all marts, which tests of access share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.marked_rows import ATTACKER, BYSTANDER, VICTIM, fill, register
from tests.support.parsed_project import ParsedProject
from tests.support.serving import serving_pool
from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.database.connection import Database
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings


@pytest.fixture(scope="package")
def shared(
    make_database: Callable[[], Database], parsed_project: ParsedProject, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    """The database, as its owner sees it. Tests leave its tenants as they find them."""
    database = make_database()
    home = tmp_path_factory.mktemp("access")
    make_relations(database, DbtProject(Settings(home=home, database_url=database.url)))
    with database.connect() as connection:
        for tenant in (ATTACKER, VICTIM, BYSTANDER):
            register(connection, tenant)
            fill(connection, tenant)
    return database


@pytest.fixture(scope="package")
def pool(shared: Database) -> Iterator[ServingPool]:
    """Connections of the login `xeno_serving`."""
    with serving_pool(shared) as opened:
        yield opened
