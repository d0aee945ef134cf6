"""Where the database is, and how to connect to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from sqlalchemy import URL, make_url

from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings
from xeno_pipeline.warehouse.embedded import EmbeddedServer

Connection = psycopg.Connection[TupleRow]


class DatabaseUnavailableError(XenoError):
    """The database cannot be reached, or refuses us."""


@dataclass(frozen=True)
class Database:
    """One Postgres database, by its libpq URL (`postgresql://user:password@host:port/name?…`)."""

    url: str = field(repr=False)

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """A connection for the length of a `with`; its transaction commits at the end, or rolls back.

        Raises:
            DatabaseUnavailableError: the server is away or refuses us.
        """
        try:
            connection = psycopg.connect(
                self.url, autocommit=autocommit, connect_timeout=10, application_name=f"xeno-{os.getpid()}"
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailableError(
                f"The database {self.place} cannot be used: {_reason(error)}. Start it, or correct XENO_DATABASE_URL."
            ) from error
        with connection:
            yield connection

    @property
    def place(self) -> str:
        """Where the database is, for people: no password."""
        parts = conninfo_to_dict(self.url)
        return f"{parts.get('dbname', '')} at {parts.get('host', 'localhost')}"

    def sqlalchemy_url(self, driver: str, *, schema: str | None = None) -> URL:
        """The same place for SQLAlchemy with `driver` (psycopg, psycopg2), unqualified names in `schema`."""
        url = make_url(self.url).set(drivername=f"postgresql+{driver}")
        return url.update_query_dict({"options": f"-csearch_path={schema}"}) if schema else url


def database_url(settings: Settings) -> str:
    """The libpq URL of the database that the settings name, whether it runs or not."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return EmbeddedServer(settings.home).url


def open_database(settings: Settings) -> Database:
    """The database that the settings name; the embedded server is started where it is the one.

    Raises:
        EmbeddedServerError: the embedded server cannot be started.
    """
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value())
    return Database(EmbeddedServer(settings.home).ensure_running())


def connection_variables(url: str) -> dict[str, str]:
    """Libpq's variables for a URL: what `dbt_project/profiles.yml` reads."""
    parts = conninfo_to_dict(url)
    known = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}
    return {variable: str(parts[name]) for variable, name in known.items() if parts.get(name) is not None}


def _reason(error: psycopg.OperationalError) -> str:
    """The first line of libpq's complaint; it names host and role, never the password."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
