"""The root of every error that this package raises on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class XenoError(Exception):
    """Something went wrong that a person can mend.

    Its text is one sentence (or two) that names the thing, the tenant where there is one, and the remedy;
    it never holds a token or a customer's data. The command line prints it and exits with `exit_code`.
    """

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is, whatever its constructor takes: a run's steps hand each other errors through files."""
        return _restored, (type(self), self.args, vars(self))


class UnexpectedError(XenoError):
    """What was left of an exception of somebody else's, once it had to be kept."""


class UsageError(XenoError):
    """The command was given something that it cannot take."""

    exit_code = 2


def _restored(kind: type[XenoError], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> XenoError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error
