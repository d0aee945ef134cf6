"""Whether a database's address leads to a server that keeps a session, or to a pooler that does not."""

from __future__ import annotations

import uuid

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from xeno_pipeline.database.connection import Database, open_database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings

_MARKER = "xeno.session"


class PoolerError(XenoError):
    """The database is reached through a pooler where a session is needed."""


def open_with_session(settings: Settings) -> Database:
    """The database that the settings name, running; an embedded server, which this started, keeps sessions.

    Raises:
        PoolerError: sessions are not kept.
        XenoError: it cannot be reached.
    """
    database = open_database(settings)
    if settings.database_url is not None:
        check_session(database)
    return database


def check_session(database: Database) -> None:
    """See that sessions are kept: locks and settings that last as long as a connection.

    Transforms, migrations and Dagster's tables depend on them. Through a pooler like pgbouncer, settings that a session
    begins with are refused, or dropped silently: a transform of one tenant would rebuild all of them. And two sessions
    may hold the same lock, because they are one to the server.

    Raises:
        PoolerError: they are not kept.
        DatabaseUnavailableError: the server cannot be reached.
    """
    mark = uuid.uuid4().hex
    parts = conninfo_to_dict(database.url)
    options = f"{parts.get('options') or ''} -c {_MARKER}={mark}".lstrip()
    begun = Database(make_conninfo(database.url, options=options))
    try:
        with psycopg.connect(begun.url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(f"select current_setting('{_MARKER}', true)").fetchone()
    except psycopg.OperationalError as error:
        if "startup parameter" not in str(error):
            with database.connect():  # raises what is wrong, unless it was this
                return
        raise _refused(database) from None
    if row != (mark,):
        raise _refused(database)
    with database.connect(autocommit=True) as one, database.connect(autocommit=True) as other:
        lock = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        one.execute(lock, [mark])
        if other.execute(lock, [mark]).fetchone() == (True,):
            raise _refused(database)


def _refused(database: Database) -> PoolerError:
    return PoolerError(
        f"The database {database.place} is reached through a pooler that keeps no session (such as pgbouncer): let "
        "XENO_DATABASE_URL lead to the server itself, and XENO_POOLER_URL to the pooler, for the gateway and insights."
    )
