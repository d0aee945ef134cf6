"""Bringing the schemas `ops` and `raw` to what this version of the package needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from xeno_pipeline.errors import XenoError
from xeno_pipeline.warehouse.connection import Database

_LOCK = "select pg_advisory_lock(hashtextextended('xeno migrate', 0))"


class SchemaTooNewError(XenoError):
    """The database was migrated by a newer version of the package."""


def migrate(database: Database) -> bool:
    """Apply the migrations that the database lacks; others who try meanwhile wait for it.

    Returns:
        Whether there was anything to apply.

    Raises:
        SchemaTooNewError: the database is ahead of this package.
    """
    if schema_version(database) == newest_version():
        return False
    engine = create_engine(database.sqlalchemy_url("psycopg"))
    with engine.connect() as connection:
        connection.execute(text(_LOCK))
        connection.execute(text("create schema if not exists ops"))
        connection.commit()
        _refuse_newer(schema_version(database))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    return True


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
