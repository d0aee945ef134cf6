"""What any record of Shopify's says of itself, read without trust: one record may be anything.

What reads many records together asks here for the few fields it needs, and does without where a record has them not;
loading then says what is wrong with it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Before any object of Shopify's was created or changed."""

AHEAD = timedelta(days=366)
"""How far ahead of ours another clock may be, and more."""

LARGEST_ID = 2**63 - 1

_JSON_INTEGER_DIGITS = 19


def clock(value: object) -> datetime | None:
    """When a record says it was created or changed, by the server's own clock.

    Returns:
        None where that is no instant with a zone, or cannot be: before 1990 or more than a year ahead of now.
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
    """When a record says it was changed; see `clock`."""
    return clock(record.get("updatedAt")) if isinstance(record, dict) else None


def number_of(gid: object, kind: str | None = None) -> int | None:
    """The number at the end of a gid, as `ids.number` gives it.

    Args:
        gid: the gid.
        kind: of what it is to be, such as `Order`; None: of anything.

    Returns:
        None where it has none that an id can be, or is of another kind.
    """
    if not isinstance(gid, str) or (kind and not gid.startswith(f"gid://shopify/{kind}/")):
        return None
    digits = gid.partition("?")[0].rpartition("/")[2]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(LARGEST_ID)):
        return None
    number = int(digits)
    return number if 0 < number <= LARGEST_ID else None


def loads(document: bytes) -> Any:
    """What a JSON document holds, also where a text in it is no Unicode or a number is too large for a float.

    Half of a surrogate pair, which neither UTF-8 nor PostgreSQL can hold, becomes U+FFFD; such a number infinite.

    Raises:
        ValueError: it is no JSON.
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
    raise ValueError(f"{name} is no JSON.")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
