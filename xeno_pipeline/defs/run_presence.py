"""The presence of a run's process, as other machines see it: a lock in the database, which ends with the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xeno_pipeline.database.connection import Connection, Database

_KEY = "hashtextextended('run ' || %s, 0)"


@contextmanager
def hold_presence(database: Database, run_id: str) -> Iterator[None]:
    """Be present as the process of a run, for the length of a `with`; costs a connection, which must keep its session.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    with database.connect(autocommit=True) as connection:
        connection.execute(f"select pg_advisory_lock({_KEY})", [run_id])
        yield


def is_present(connection: Connection, run_id: str) -> bool:
    """Whether a process is present for the run.

    Args:
        connection: in autocommit mode.
        run_id: the run's id.
    """
    row = connection.execute(f"select pg_try_advisory_xact_lock({_KEY})", [run_id]).fetchone()
    return row == (False,)
