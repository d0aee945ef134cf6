"""Messages of exceptions without personal data: PostgreSQL's quote rows, other libraries' quote their input.

Logs, Dagster's events and alerts outlive a redaction, and operators read them.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile

import psycopg

from xeno_pipeline.errors import XenoError

_NAMED = re.compile(
    r'\b(relation|table|column|constraint|index|schema|database|role|user|type|function|server at) "([^"\s]+)"'
)
_FURTHER_FIELDS = ("DETAIL:", "HINT:", "CONTEXT:", "QUERY:", "LINE ")
_DATA_EXCEPTION = "22"
"""The class of SQLSTATEs of which the message itself quotes the value that did not fit."""

_NOT_ABOUT_VALUES = ("08", "25", "26", "28", "3D", "40", "42", "53", "55", "57", "58", "F0")
"""The classes of SQLSTATEs that do not depend on values: the connection, its transaction, a schema that is not
migrated, memory and disk, locks, a shutdown."""


def is_caused_by_values(error: BaseException) -> bool:
    """Whether the database works but rejects these values, so that other values may succeed.

    psycopg, and the encoding as JSON, reject some values before they are sent.
    """
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return not error.sqlstate.startswith(_NOT_ABOUT_VALUES)
    return isinstance(error, ValueError | TypeError | ArithmeticError | RecursionError)


def error_kind(error: BaseException) -> str:
    """The kind of error, without its message."""
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__}{f' ({sqlstate})' if sqlstate else ''}"


def safe_message(error: BaseException) -> str:
    """A message that is safe to log: our own errors' text; of others the kind, and what quotes no value."""
    if isinstance(error, XenoError):
        return str(error)
    message = _message(error) if isinstance(error, psycopg.Error) else ""
    return f"{error_kind(error)}{': ' if message else ''}{message}"


def safe_traceback(error: BaseException) -> str:
    """A safe message, and the traceback's lines of code."""
    return "\n".join([safe_message(error), *traceback.format_tb(error.__traceback__)])


def strip_row_values(message: str) -> str:
    """A message of PostgreSQL, or of dbt with one inside, without quoted values. Names of tables stay."""
    unquoted = _NAMED.sub(r"\1 \2", message).partition('"')[0]
    lines = (line.strip() for line in unquoted.splitlines())
    return "\n".join(takewhile(lambda line: not line.startswith(_FURTHER_FIELDS), lines)).rstrip(" :,\n")


@contextmanager
def redact_row_values() -> Iterator[None]:
    """Remove quoted values from database errors that leave this `with`. Kind and diagnosis stay."""
    try:
        yield
    except Exception as error:
        for cause in _chain(error):
            if isinstance(cause, psycopg.Error):
                cause.args = (_message(cause),)
        raise


def _message(error: psycopg.Error) -> str:
    diagnosis = error.diag
    if error.sqlstate is None:  # libpq's, of a connection; psycopg's own may quote a URL or a value
        return str(error).strip() if isinstance(error, psycopg.OperationalError) else ""
    if error.sqlstate.startswith(_DATA_EXCEPTION):
        names = (diagnosis.schema_name, diagnosis.table_name, diagnosis.column_name)
        return ".".join(name for name in names if name)
    return strip_row_values(diagnosis.message_primary or "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its cause, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
