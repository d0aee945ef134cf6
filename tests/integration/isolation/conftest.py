"""A database of two tenants whose rows are marked, and of an owner that is a superuser, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import sql

from tests.support.database_roles import as_role
from tests.support.isolated_marts import MakeDatabase, Marts
from tests.support.marked_rows import ATTACKER, VICTIM, fill, register
from tests.support.parsed_project import ParsedProject
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import revoke_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings

CONNECTED_BY = "the victim reads velvet 190719 on 2719-07-19"
"""The last query of the owner's open session."""


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


@pytest.fixture
def owner_at_work(marts: Marts) -> Iterator[Connection]:
    """An open session of the owner, whose last query holds the victim's values."""
    with marts.owner.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("select {}").format(CONNECTED_BY))
        connection.execute("select lo_from_bytea(0, 'velvet')")
        yield connection
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata where lomowner = current_user::regrole")


@pytest.fixture
def names(marts: Marts) -> dict[str, str]:
    """The names of roles that an attacker could come to know."""
    with marts.owner.connect() as connection:
        row = connection.execute("select current_user, ops.bi_group('tenants'), ops.bi_group('operators')").fetchone()
    assert row is not None
    victim = marts.bi(VICTIM.tenant_id).url.partition("//")[2].partition("@")[0]
    return {"owner": row[0], "tenants": row[1], "operators": row[2], "victim": victim}
