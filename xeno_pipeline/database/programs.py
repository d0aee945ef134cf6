"""PostgreSQL's own programs on the database that the settings name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import NoReturn

from xeno_pipeline.database.connection import Database, connection_variables
from xeno_pipeline.database.embedded import program
from xeno_pipeline.errors import UsageError


def exec_program(database: Database, name: str, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into one of PostgreSQL's client programs, connected to a database.

    libpq's variables say how to connect: others could read a command line.

    Args:
        database: what to connect to.
        name: of the program, such as `psql` or `pg_dump`: the one that comes with the embedded server, else one on the
            PATH. A newer program dumps an older server, never the other way round.
        arguments: its own.

    Raises:
        UsageError: there is no such program.
    """
    ours = program(name)
    path = str(ours) if ours.exists() else shutil.which(name)
    if path is None or os.sep in name:
        raise UsageError(f"{name!r} is none of PostgreSQL's programs, such as psql, pg_dump and pg_restore.")
    environment = {**os.environ, **connection_variables(database.url)}
    os.execve(path, [path, *arguments], environment)  # noqa: S606 - it takes the terminal over
