"""The root of every error that this package raises on purpose."""

from __future__ import annotations


class XenoError(Exception):
    """Something went wrong that a person can mend.

    Its text is one sentence (or two) that names the thing, the tenant where there is one, and the remedy;
    it never holds a token or a customer's data. The command line prints it and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(XenoError):
    """The command was given something that it cannot take."""

    exit_code = 2
