"""A database of two tenants whose rows are marked, and of an owner that is a superuser, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import sql

from tests.support.database_roles import as_role
from tests.support.isolated_marts import MakeDatabase, Marts
from tests.support.marked_rows import ATTACKER, VICTIM, fill, register
from tests.support.parsed_project import ParsedProject
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import revoke_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings


@pytest.fixture(scope="session")
def make_marts(
    make_database: MakeDatabase, parsed_project: ParsedProject, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | None], Marts]:
    """Makes a database with all relations and no rows; its owner is the superuser, or a role of the given name."""
    home = tmp_path_factory.mktemp("marts")
    templates: dict[str | None, str] = {}

    def make(owner_name: str | None) -> Marts:
        administrator = make_database(templates.get(owner_name))
        owner = administrator
        if owner_name is not None:
            owner = as_role(administrator, owner_name, owner=True)
            with administrator.connect() as connection:
                connection.execute(sql.SQL("alter role {} createrole").format(sql.Identifier(owner_name)))
        project = DbtProject(Settings(home=home, database_url=owner.url))
        if owner_name not in templates:
            migrate(owner)
            make_relations(owner, project)
            with administrator.connect() as connection:
                templates[owner_name] = connection.info.dbname
            return make(owner_name)
        return Marts(owner, project, administrator)

    return make


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(None, id="superuser"),
        pytest.param("careful", id="no superuser", marks=pytest.mark.thorough),
    ],
)
def marts(request: pytest.FixtureRequest, make_marts: Callable[[str | None], Marts]) -> Marts:
    """A database with rows of two tenants, and statistics of them; its owner is a superuser, and one that is none."""
    made = make_marts(request.param)
    with made.owner.connect() as connection:
        for tenant in (ATTACKER, VICTIM):
            register(connection, tenant)
            fill(connection, tenant)
        connection.execute("create schema dagster")
        connection.execute("create table dagster.runs as select * from ops.tenants")
    with made.owner.connect(autocommit=True) as connection:
        connection.execute("analyze")
    return made


@pytest.fixture
def attacker(marts: Marts) -> Iterator[Database]:
    """The marts as the BI tool of one of the tenants sees them; its role is the test's own."""
    yield marts.bi(ATTACKER.tenant_id)
    with marts.owner.connect() as connection:
        revoke_bi_role(connection, ATTACKER.tenant_id)
