"""The sentence that a failed command ends with."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from xeno_pipeline.errors import XenoError

_DISK_FULL = "53100"
"""PostgreSQL's code: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def sentence_for(error: Exception) -> str | None:
    """What went wrong, and the remedy; None for a defect, which only a traceback explains."""
    import psycopg
    import sqlalchemy.exc

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return f"There is no room left on the disk of {cause.filename or 'the spool'}. Make room, and try again."
        if _DISK_FULL in (getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None)):
            return "The database has no room left; nothing was half-written. Make room, and run the command again."
    if isinstance(error, XenoError):
        return str(error)
    for cause in causes:
        if isinstance(cause, psycopg.OperationalError | sqlalchemy.exc.OperationalError):
            return f"The database broke off ({str(cause).strip().splitlines()[0]}). Run the command again."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
