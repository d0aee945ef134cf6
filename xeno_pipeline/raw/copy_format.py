"""Values in the text format of COPY, each checked for what its column can hold: PostgreSQL then refuses none.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

NULL = "\\N"

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": ""})

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,30})?")
_UNUSUAL_AMOUNT = re.compile(r"[+-]?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_TOO_LARGE = Decimal(10) ** 12
"""Sums of amounts are numeric(20, 4): a hundred million of the largest fit."""
_INSTANT = re.compile(
    r"(?P<year>[0-9]{4,6})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.[0-9]{1,12})?"
    r"(?:Z|[+-](?P<offset_hours>[0-9]{2}):(?P<offset_minutes>[0-9]{2}))"
)
_LAST_YEAR = 294_275
"""The last year of which PostgreSQL's timestamps hold every instant in every zone."""
_REPEATED = 1 << 14
"""The size of the caches: prices, and the times of an order, repeat often."""


class InvalidValueError(ValueError):
    """A value does not fit its column. The message states the kind of problem, never the value."""


def text(value: Any) -> str:
    """A text; PostgreSQL's text cannot hold a NUL, which is left out.

    Raises:
        InvalidValueError: it is none.
    """
    if type(value) is not str:
        if value is None:
            return NULL
        raise InvalidValueError("is no text")
    if value.isprintable() and "\\" not in value:  # all others that need escapes are no printable characters
        return value
    return value.translate(_ESCAPES)


def integer(value: Any) -> str:
    """A whole number of 32 bits.

    Raises:
        InvalidValueError: it is none.
    """
    if type(value) is int and _SMALLEST <= value <= _LARGEST:
        return str(value)
    return _whole(value, 31)


def bigint(value: Any) -> str:
    """A whole number of 64 bits; Shopify writes them as strings.

    Raises:
        InvalidValueError: it is none.
    """
    return _whole(value, 63)


def _whole(value: Any, bits: int) -> str:
    if value is None:
        return NULL
    if type(value) is str and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is not int:
        raise InvalidValueError("is no whole number")
    if not -(1 << bits) <= value < 1 << bits:
        raise InvalidValueError("is a number larger than its column can hold")
    return str(value)


@lru_cache(_REPEATED)
def amount(value: Any) -> str:
    """An amount of money as Shopify writes it, which is as a string.

    Raises:
        InvalidValueError: it is no finite decimal number, or so large that no sum of its like fits the marts.
    """
    if value is None:
        return NULL
    if type(value) is str and _AMOUNT.fullmatch(value):
        return value
    if type(value) is not str or not _UNUSUAL_AMOUNT.fullmatch(value):
        raise InvalidValueError("is no amount")
    number = Decimal(value)
    if abs(number) >= _TOO_LARGE:
        raise InvalidValueError("is an amount of 1e12 or more")
    return format(number, "f")


@lru_cache(_REPEATED)
def instant(value: Any) -> str:
    """An instant with its zone, in whatever year from 1 to 294275.

    Raises:
        InvalidValueError: it is none that PostgreSQL can hold.
    """
    if value is None:
        return NULL
    if type(value) is not str:
        raise InvalidValueError("is no date")
    if len(value) == 20 and value[4] == value[7] == "-" and value[10] == "T" and value[13] == value[16] == ":":
        with suppress(ValueError):
            datetime.fromisoformat(value)
            return value
    found = _INSTANT.fullmatch(value)
    if found is None or not _is_valid_date({name: int(digits or 0) for name, digits in found.groupdict().items()}):
        raise InvalidValueError("is no date that PostgreSQL can hold")
    return value


def _is_valid_date(part: dict[str, int]) -> bool:
    try:
        date(2000 + part["year"] % 400, part["month"], part["day"])  # the calendar repeats itself after 400 years
    except ValueError:
        return False
    return (
        1 <= part["year"] <= _LAST_YEAR
        and (part["hour"] < 24 or (part["hour"], part["minute"], part["second"]) == (24, 0, 0))
        and part["minute"] < 60
        and part["second"] <= 60
        and part["offset_hours"] < 15
        and part["offset_minutes"] < 60
    )


def boolean(value: Any) -> str:
    """A truth value.

    Raises:
        InvalidValueError: it is none.
    """
    if value is False:
        return "f"
    if value is True:
        return "t"
    if value is None:
        return NULL
    raise InvalidValueError("is neither true nor false")


def texts(values: Any) -> str:
    """An array of texts.

    Raises:
        InvalidValueError: it is none.
    """
    if values is None:
        return NULL
    if type(values) is not list or not all(type(value) is str for value in values):
        raise InvalidValueError("is no list of texts")
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    return text("{" + ",".join(quoted) + "}")


def json(value: Any) -> bytes:
    """A JSON document; jsonb cannot hold a NUL inside a string, which is left out.

    Raises:
        InvalidValueError: it holds something that JSON cannot.
    """
    try:
        document = orjson.dumps(value)
    except TypeError:  # its text quotes the value
        raise InvalidValueError("holds a text or a number that JSON cannot hold") from None
    if b"\\" not in document:
        return document
    if b"\\u0000" in document:
        document = orjson.dumps(without_nul(value))
    return document.replace(b"\\", b"\\\\")


def without_nul(value: Any) -> Any:
    """A JSON value without the NULs in its texts."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {key.replace("\x00", ""): without_nul(item) for key, item in value.items()}
    return value
