"""Instants as seconds since 1970 UTC, how Shopify writes them, and days in a shop's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 86_400


@lru_cache(maxsize=20_000)
def _day_prefix(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat() + "T"


def iso(instant: int) -> str:
    """An instant as Shopify writes it: `2026-06-22T22:34:00Z`."""
    day, second = divmod(instant, DAY)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_day_prefix(day)}{hour:02}:{minute:02}:{second:02}Z"


def iso_or_none(instant: int | None) -> str | None:
    """`iso`, or None where there is no instant."""
    return None if instant is None else iso(instant)


def instant(value: datetime) -> int:
    """Seconds since 1970 of an aware datetime, fractions dropped."""
    return int(value.timestamp())


def start_of_day(day: date, zone: ZoneInfo) -> int:
    """The instant a day begins in a time zone."""
    return instant(datetime.combine(day, time(), zone))


def local_date(value: int, zone: ZoneInfo) -> date:
    """The day of an instant in a time zone."""
    return datetime.fromtimestamp(value, UTC).astimezone(zone).date()
