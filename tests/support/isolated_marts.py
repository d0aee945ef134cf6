"""Marts as their owner, a tenant's BI tool and an operator see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.marts.dbt import DbtProject

MakeDatabase = Callable[[str | None], Database]

TENANTS_READ = ("marts",)

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


@contextmanager
def session(database: Database) -> Iterator[Connection]:
    """A session in which each statement stands for itself."""
    with database.connect(autocommit=True) as connection:
        yield connection


def tenants_seen(connection: Connection) -> set[str]:
    """The tenants whose customers a session sees."""
    return {tenant_id for (tenant_id,) in connection.execute(CUSTOMERS).fetchall()}
