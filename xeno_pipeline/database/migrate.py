"""Migrate the schemas `ops` and `raw` to what this version of the package needs.

Alembic and SQLAlchemy are imported only to migrate: every command checks the schema's version, and must start quickly.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.session import open_with_session
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "select pg_advisory_lock(hashtextextended('xeno migrate', 0))"


class SchemaTooNewError(XenoError):
    """The database was migrated by a newer version of the package."""


class NotPermittedError(XenoError):
    """The database's role may not create what the package needs."""


def open_migrated(settings: Settings) -> Database:
    """The database that the settings name, running and migrated.

    Raises:
        XenoError: it cannot be reached, keeps no session, or is ahead of this package.
    """
    database = open_with_session(settings)
    migrate(database)
    return database


def migrate(database: Database) -> bool:
    """Apply the missing migrations. Other processes that try at the same time wait.

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
    from alembic import command
    from sqlalchemy import NullPool, create_engine, text
    from sqlalchemy.exc import DBAPIError

    # Without a pool the connection closes at the end in any case, and releases the lock.
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
    return max(_revisions())


@cache
def _revisions() -> set[str]:
    """The known revisions: the numbers that the files of the migrations begin with."""
    return {path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py")}


def is_known(version: str | None) -> bool:
    """Whether a revision is one of this package's; one that is not was made by a newer package. None is known."""
    return version is None or version in _revisions()


def _refuse_newer(version: str | None) -> None:
    if not is_known(version):
        raise SchemaTooNewError(
            f"The database is at schema version {version}, which this xeno-pipeline does not know: upgrade it, "
            "or restart it after an upgrade."
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
