"""The values of filters: numbers, truths, lists and written times, and how they compare."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shopify_sandbox.model.times import start_of_day
from shopify_sandbox.search.syntax import Term


class InvalidValueError(ValueError):
    """A filter's value is none that it accepts."""


class Clock(NamedTuple):
    """What written times mean: the shop's zone, and the instant of `now`."""

    zone: ZoneInfo
    now: int


COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ":": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def parse_period(text: str, clock: Clock) -> tuple[int, int]:
    """The instants a written time covers, from and up to but not including: a second, a day, a month or a year."""
    if text.lower() == "now":
        return clock.now, clock.now + 1
    written = re.fullmatch(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?", text)
    try:
        if written:
            year, month, day = int(written[1]), int(written[2] or 1), int(written[3] or 1)
            first = date(year, month, day)
            if written[3]:
                after = first + timedelta(days=1)
            elif written[2]:
                after = (first + timedelta(days=31)).replace(day=1)
            else:
                after = date(year + 1, 1, 1)
            return start_of_day(first, clock.zone), start_of_day(after, clock.zone)
        moment = datetime.fromisoformat(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=clock.zone)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValueError(text) from None
    return math.ceil(stamp), math.floor(stamp) + 1


def whole_days_of(period: tuple[int, int], zone: ZoneInfo) -> tuple[int, int]:
    """The days of a zone that a period touches, from the start of the first to the end of the last."""
    first = datetime.fromtimestamp(period[0], UTC).astimezone(zone).date()
    last = datetime.fromtimestamp(period[1] - 1, UTC).astimezone(zone).date()
    return start_of_day(first, zone), start_of_day(last + timedelta(days=1), zone)


def parse_number(value: str) -> int:
    """An id: a number, or a gid that ends in one."""
    found = re.fullmatch(r"(?:gid://shopify/\w+/)?(\d{1,19})", value.strip())
    if found is None or int(found[1]) >= 2**63:
        raise InvalidValueError(value)
    return int(found[1])


def parse_decimal(value: str) -> Decimal:
    """A finite decimal number."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidValueError(value) from None
    if not number.is_finite():
        raise InvalidValueError(value)
    return number


def parse_truth(value: str) -> bool:
    """`true` or `false`, in any case."""
    if value.lower() not in ("true", "false"):
        raise InvalidValueError(value)
    return value.lower() == "true"


def listed(value: str) -> list[str]:
    """The values of a comma-separated list, folded for comparison."""
    return [part.strip().casefold() for part in value.split(",")]


def ends(term: Term) -> list[tuple[str, str]]:
    """The comparisons of a term: one, or two where the value is a range `from..to`."""
    first, dots, last = term.value.strip().partition("..")
    return [(">=", first), ("<=", last)] if dots else [(term.operator, first)]


def in_period(values: Any, comparison: str, period: tuple[int, int]) -> Any:
    """Whether instants (a number or an array) compare so with a period."""
    first, after = period
    if comparison == ":":
        return (values >= first) & (values < after)
    return COMPARE[comparison](values, first if comparison in (">=", "<") else after - 1)
