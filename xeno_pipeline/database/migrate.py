"""Bringing the schemas `ops` and `raw` to what this version of the package needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from xeno_pipeline.database.connection import Database, open_database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings

_LOCK = "select pg_advisory_lock(hashtextextended('xeno migrate', 0))"


class SchemaTooNewError(XenoError):
    """The database was migrated by a newer version of the package."""


class NotPermittedError(XenoError):
    """The database's role may not create what the package needs."""


def open_migrated(settings: Settings) -> Database:
    """The database that the settings name, running and migrated where it was behind.

    Raises:
        XenoError: it cannot be reached, or is ahead of this package.
    """
    database = open_database(settings)
    migrate(database)
    return database


def migrate(database: Database) -> bool:
    """Apply the migrations that the database lacks; others who try meanwhile wait for it.

    Returns:
        Whether there was anything to apply.

    Raises:
        SchemaTooNewError: the database is ahead of this package.
        NotPermittedError: the role may not read or create the schemas.
    """
    try:
        if schema_version(database) == newest_version():
            return False
        _upgrade(database)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotPermittedError(
            f"The role that XENO_DATABASE_URL names may not do what is needed in {database.place} "
            f"({str(error).splitlines()[0]}): it must own the database, or be granted CREATE on it."
        ) from error
    return True


def _upgrade(database: Database) -> None:
    # Without a pool the connection closes at the end, however that comes, and the lock with it.
    engine = create_engine(database.sqlalchemy_url("psycopg"), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text(_LOCK))
            _refuse_newer(schema_version(database))
            connection.execute(text("create schema if not exists ops"))
            connection.commit()
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise error.orig or error from None


def schema_version(database: Database) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    with database.connect() as connection:
        known = connection.execute("select to_regclass('ops.schema_version')").fetchone()
        if known is None or known[0] is None:
            return None
        row = connection.execute("select version_num from ops.schema_version").fetchone()
        return row[0] if row else None


@cache
def newest_version() -> str:
    """The revision that this package needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _refuse_newer(version: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        raise SchemaTooNewError(
            f"The database is at schema version {version}, which this xeno-pipeline does not know: upgrade it."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
