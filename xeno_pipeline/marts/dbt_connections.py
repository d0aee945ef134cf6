"""dbt's connections to the database, kept from one model to the next.

dbt opens one for each model and closes it afterwards. A new session knows nothing of the tables, their columns and
their statistics: until it has read what a model's query needs, planning that query takes several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.postgres.connections import PostgresConnectionManager
from dbt.adapters.postgres.impl import PostgresAdapter


class _KeptConnections(PostgresConnectionManager):
    """Opens a connection only where none is kept, and keeps it instead of closing it."""

    kept: list[Any] | None = None
    """Sessions that no model uses; None: none are to be kept."""

    @classmethod
    def open(cls, connection: Connection) -> Connection:
        if not cls.kept:
            opened: Connection = super().open(connection)  # type: ignore[no-untyped-call]
            return opened
        connection.handle = cls.kept.pop()
        connection.state = ConnectionState.OPEN
        return connection

    @classmethod
    def _close_handle(cls, connection: Connection) -> None:
        if cls.kept is None or not _is_clean(connection.handle):
            super()._close_handle(connection)
        else:
            cls.kept.append(connection.handle)


def _is_clean(session: Any) -> bool:
    """Roll back whatever a session had begun; whether it is there, and as new."""
    try:
        session.rollback()
    except session.Error:
        return False
    return not session.closed


PostgresAdapter.ConnectionManager = _KeptConnections


@contextmanager
def kept_connections() -> Iterator[None]:
    """Keep dbt's connections for the length of a `with`."""
    kept: list[Any] = []
    _KeptConnections.kept = kept
    try:
        yield
    finally:
        _KeptConnections.kept = None
        for session in kept:
            session.close()
