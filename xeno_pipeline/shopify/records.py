"""Fields of a record that may be malformed: each is None if it is missing or impossible.

Code that reads many records at once uses these for the few fields that it needs. Loading then reports what is wrong
with a record.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from xeno_pipeline.shopify.ids import prefix

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Before any object at Shopify was created or changed."""

AHEAD = timedelta(days=366)
"""More than another clock may be ahead of ours."""

LARGEST_ID = 2**63 - 1

_JSON_INTEGER_DIGITS = 19


def clock(value: object) -> datetime | None:
    """An instant of creation or change, by Shopify's clock.

    Returns:
        None if the value is not an instant with a zone, or is impossible: before 1990 or more than a year ahead.
    """
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
        is_possible = instant.tzinfo is not None and EARLIEST <= instant <= datetime.now(UTC) + AHEAD
    except (ValueError, OverflowError):
        return None
    return instant if is_possible else None


def changed_at(record: Any) -> datetime | None:
    """When a record was changed; see `clock`."""
    return clock(record.get("updatedAt")) if isinstance(record, dict) else None


def number_of(gid: object, kind: str | None = None) -> int | None:
    """The number at the end of a gid, as `ids.number` gives it.

    Args:
        kind: the expected kind, such as `Order`; None: any.

    Returns:
        None if it has no valid number, or is of another kind.
    """
    if not isinstance(gid, str) or (kind and not gid.startswith(prefix(kind))):
        return None
    digits = gid.partition("?")[0].rpartition("/")[2]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(LARGEST_ID)):
        return None
    number = int(digits)
    return number if 0 < number <= LARGEST_ID else None


def cart_id(token: object) -> str | None:
    """A cart's token without the key behind it, which gives access to the cart."""
    return (token.partition("?")[0] or None) if isinstance(token, str) else None


def loads(document: bytes) -> Any:
    """The value of a JSON document, even if it holds invalid Unicode or a number too large for a float.

    Half of a surrogate pair, which neither UTF-8 nor PostgreSQL can hold, becomes U+FFFD; such a number infinity.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        try:
            lenient = json.loads(document, parse_int=_integer, parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError("The document is nested too deeply.") from None
        return _without_surrogates(lenient)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _JSON_INTEGER_DIGITS else float(digits)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
