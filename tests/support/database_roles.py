"""Roles that are no superusers, for tests of what those may do."""

from __future__ import annotations

from psycopg import sql

from xeno_pipeline.database.connection import Database

PLAIN = "plain"
"""A role that may do nothing but what it is granted."""

GUARDED = "guarded"
"""A role that must give its password, `GUARDED_PASSWORD`, even on a socket."""

GUARDED_PASSWORD = "cl@ssified/%"


def create_role(database: Database, role: str) -> None:
    """Create a role on the database's server, unless it exists."""
    with database.connect() as connection:
        known = connection.execute("select from pg_roles where rolname = %s", [role]).fetchone()
        if known is None:
            statement = sql.SQL("create role {} login password {}")
            connection.execute(statement.format(sql.Identifier(role), GUARDED_PASSWORD))


def as_role(database: Database, role: str, *, owner: bool = False) -> Database:
    """The same database as another role sees it, which is made its owner if so asked."""
    create_role(database, role)
    with database.connect() as connection:
        name = connection.info.dbname
        if owner:
            connection.execute(
                sql.SQL("alter database {} owner to {}").format(sql.Identifier(name), sql.Identifier(role))
            )
    return Database(database.url.replace("postgresql://xeno@", f"postgresql://{role}@"))
