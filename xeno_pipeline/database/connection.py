"""Where the database is, and how to connect to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, ConninfoOption
from psycopg.rows import TupleRow
from pydantic import SecretStr

from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.safe_messages import redact_row_values
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import URL

Connection = psycopg.Connection[TupleRow]

_SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?://")
_FORMATS = (
    ("DateStyle", "ISO", ("ISO",)),
    ("IntervalStyle", "postgres", ("postgres",)),
    ("TimeZone", "UTC", ("UTC", "Etc/UTC", "GMT")),
)
"""Settings that the server reports to every session: the value to set, and how values begin that need no setting."""
_NEEDED_BY_DBT = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")


class DatabaseUnavailableError(XenoError):
    """The database cannot be reached, or rejects the connection."""


@dataclass(frozen=True)
class Database:
    """One Postgres database, by its libpq URL (`postgresql://user:password@host:port/name?…`).

    Args:
        setting: the variable that the URL comes from, for messages.
        keeps_session: false where a pooler may execute each transaction in another session.
    """

    url: str = field(repr=False)
    setting: str = "XENO_DATABASE_URL"
    keeps_session: bool = True

    @property
    def prepare_threshold(self) -> int | None:
        """After how many executions psycopg prepares a statement; None for never, since others' sessions know none."""
        return 5 if self.keeps_session else None

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """A connection for the length of a `with`; its transaction commits at the end, or rolls back.

        Errors lose the values that PostgreSQL quotes in them: they may be personal, and end up in logs.

        Raises:
            DatabaseUnavailableError: the server cannot be reached, or rejects the connection.
        """
        try:
            connection = psycopg.connect(
                self.url,
                autocommit=autocommit,
                connect_timeout=10,
                prepare_threshold=self.prepare_threshold,
                application_name=f"xeno-{os.getpid()}",
                # A session that holds a lock may say nothing for an hour; networks forget it within minutes.
                keepalives_idle=60,
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailableError(
                f"The database {self.place} cannot be used: {_reason(error)}. Start it, or correct {self.setting}."
            ) from error
        with redact_row_values(), connection:
            pin_formats(connection)
            yield connection

    @property
    def place(self) -> str:
        """Where the database is, for messages; without the password."""
        parts = conninfo_to_dict(self.url)
        return f"{parts.get('dbname') or parts.get('user', 'postgres')} at {parts.get('host', 'localhost')}"

    def sqlalchemy_url(self, driver: str, *, schema: str | None = None) -> URL:
        """The same place for SQLAlchemy with `driver` (psycopg, psycopg2), unqualified names in `schema`."""
        from sqlalchemy import URL

        parts = {name: str(value) for name, value in conninfo_to_dict(self.url).items()}
        if schema:
            parts["options"] = f"{parts.get('options', '')} -csearch_path={schema}".lstrip()
        user, password, name = (parts.pop(part, None) for part in ("user", "password", "dbname"))
        return URL.create(f"postgresql+{driver}", username=user, password=password, database=name, query=parts)


def pin_formats(connection: Connection) -> None:
    """Set the formats of dates, instants and intervals that psycopg reads, whatever the server's defaults are.

    The server reports its defaults when a session begins, so this costs no round trip as a rule.
    """
    statements = [
        f"set {name} = {wanted}"
        for name, wanted, good in _FORMATS
        if not (connection.info.parameter_status(name) or "").startswith(good)
    ]
    if statements:
        connection.execute("; ".join(statements))
        if not connection.autocommit:
            connection.commit()


def database_url(settings: Settings) -> str:
    """The libpq URL of the database that the settings name, whether it runs or not.

    Raises:
        UsageError: XENO_DATABASE_URL is not a PostgreSQL URL.
    """
    if settings.database_url is None:
        return EmbeddedServer(settings.home, settings.postgres_port).url
    return _with_owners_password(_libpq_url(settings.database_url, "XENO_DATABASE_URL"), settings)


def pooled_database(settings: Settings) -> Database:
    """The database for what needs no session: by the pooler, if the settings name one.

    Raises:
        UsageError: a URL is none of PostgreSQL's.
    """
    if settings.pooler_url is None:
        return Database(database_url(settings))
    url = _libpq_url(settings.pooler_url, "XENO_POOLER_URL")
    return Database(_with_owners_password(url, settings), "XENO_POOLER_URL", keeps_session=False)


def replica_database(settings: Settings) -> Database | None:
    """The replica that the settings name; None for none.

    Raises:
        UsageError: XENO_REPLICA_URL is not a PostgreSQL URL.
    """
    if settings.replica_url is None:
        return None
    url = _libpq_url(settings.replica_url, "XENO_REPLICA_URL")
    return Database(_with_owners_password(url, settings), "XENO_REPLICA_URL")


def open_database(settings: Settings) -> Database:
    """The database that the settings name. The embedded server is started if it is the one.

    Raises:
        UsageError: XENO_DATABASE_URL is not a PostgreSQL URL.
        EmbeddedServerError: the embedded server cannot be started.
    """
    if settings.database_url is not None:
        return Database(database_url(settings))
    return Database(EmbeddedServer(settings.home, settings.postgres_port).ensure_running())


def connection_variables(url: str) -> dict[str, str]:
    """Libpq's variables for a URL: what `dbt_project/profiles.yml` reads, and libpq itself (PGSSLMODE and its like)."""
    defaults = _variables(Conninfo.get_defaults())
    needed = {name: defaults[name] for name in _NEEDED_BY_DBT if name in defaults}
    known = needed | _variables(Conninfo.parse(url.encode()))
    return {"PGHOST": "", "PGDATABASE": known["PGUSER"], **known}  # an empty host is libpq's default, a socket


def _variables(options: Sequence[ConninfoOption]) -> dict[str, str]:
    return {option.envvar.decode(): option.val.decode() for option in options if option.envvar and option.val}


def _libpq_url(given: SecretStr, setting: str) -> str:
    """What a setting says, without the driver that SQLAlchemy's spelling names.

    Raises:
        UsageError: it is not a PostgreSQL URL.
    """
    url = _SCHEME.sub("postgresql://", given.get_secret_value().strip())
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its text may repeat the password
        raise UsageError(
            f"{setting} is not a PostgreSQL URL: write it like postgresql://user:password@host:5432/database."
        ) from None
    return url


def _with_owners_password(url: str, settings: Settings) -> str:
    """The URL with XENO_DATABASE_PASSWORD, unless it already has one."""
    if settings.database_password is None or "password" in conninfo_to_dict(url):
        return url
    password = quote(settings.database_password.get_secret_value(), safe="")
    return f"{url}{'&' if '?' in url else '?'}password={password}"


def _reason(error: psycopg.OperationalError) -> str:
    """The first line of libpq's complaint; it names host and role, never the password."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
