"""A database of two tenants whose rows are marked, and of an owner that is a superuser, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from psycopg import sql

from tests.isolation.marked_rows import ATTACKER, VICTIM, fill, register
from tests.warehouse.roles import as_role
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import grant_bi_role, revoke_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings

MakeDatabase = Callable[[str | None], Database]

TENANTS_READ = ("marts", "core")

CUSTOMERS = "select tenant_id from marts.dim_customers"


@dataclass(frozen=True)
class Marts:
    """A database with the relations of the marts, and who may use it.

    Args:
        owner: the database as the role sees it that loads and transforms.
        project: the dbt project on it.
        administrator: the database as the server's superuser sees it.
    """

    owner: Database
    project: DbtProject
    administrator: Database

    def login(self, role: str) -> Database:
        """The same database as another role sees it."""
        return Database(self.administrator.url.replace("postgresql://xeno@", f"postgresql://{role}@"))

    def bi(self, tenant_id: str | None) -> Database:
        """The same as the BI tool of a tenant sees it (None: an operator's)."""
        return self.login(grant_bi_role(self.owner, tenant_id).name)

    def relations(self, *schemas: str) -> list[str]:
        """The tables and views of schemas, with their schema's name."""
        with self.owner.connect() as connection:
            return relations(connection, *schemas)


def relations(connection: Connection, *schemas: str) -> list[str]:
    """The tables and views of schemas, with their schema's name."""
    rows = connection.execute(
        """
        select format('%%I.%%I', nspname, relname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where relkind not in ('i', 't', 'S', 'c') and nspname = any(%s) order by 1
        """,
        [list(schemas)],
    ).fetchall()
    return [name for (name,) in rows]


@pytest.fixture(scope="session")
def make_marts(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None], Marts]:
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


@pytest.fixture(scope="session", params=[None, "careful"], ids=["superuser", "no superuser"])
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


@contextmanager
def session(database: Database) -> Iterator[Connection]:
    """A session in which each statement stands for itself."""
    with database.connect(autocommit=True) as connection:
        yield connection


def tenants_seen(connection: Connection) -> set[str]:
    """The tenants whose customers a session sees."""
    return {tenant_id for (tenant_id,) in connection.execute(CUSTOMERS).fetchall()}
