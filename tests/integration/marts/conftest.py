"""A database with the marts made, and no tenant yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.database.connection import Database
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings

_TEMPLATE = "with_marts"


@pytest.fixture(scope="session")
def _template(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose dbt project is parsed; a migrated database with the marts' relations is the template."""
    settings = Settings(home=tmp_path_factory.mktemp("dbt-home"))
    database = make_database()
    make_relations(database, _project(settings, database))
    with database.connect(autocommit=True) as connection:
        name = connection.info.dbname
    with Database(database.url.replace(f"/{name}?", "/postgres?")).connect(autocommit=True) as connection:
        connection.execute(f"alter database {name} rename to {_TEMPLATE}")
    return settings


@pytest.fixture(scope="session")
def make_warehouse(_template: Settings, make_database: Callable[..., Database]) -> Callable[[], Warehouse]:
    """Makes databases with the marts made, and no tenant yet."""

    def make() -> Warehouse:
        database = make_database(_TEMPLATE)
        return Warehouse(database, _project(_template, database))

    return make


@pytest.fixture
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A database of the test's own with the marts made, and no tenant yet."""
    return make_warehouse()


def _project(settings: Settings, database: Database) -> DbtProject:
    """The dbt project on a database; all of them share the parsed project of one home."""
    return DbtProject(settings.model_copy(update={"database_url": SecretStr(database.url)}))
