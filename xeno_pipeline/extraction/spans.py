"""Spans of days in which objects were created, as the shop counts its days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from xeno_pipeline.errors import UsageError
from xeno_pipeline.shopify.pagination import search_time


@dataclass(frozen=True)
class Span:
    """Whole days in a shop's time zone: Shopify compares some filters with a time by the day.

    Args:
        zone: the shop's.
        first: the first day; None: from the beginning.
        last: the last day; None: up to now.
    """

    zone: ZoneInfo
    first: date | None = None
    last: date | None = None

    @property
    def since(self) -> datetime | None:
        """The instant at which it begins."""
        return None if self.first is None else self._midnight(self.first)

    @property
    def until(self) -> datetime | None:
        """The first instant after it."""
        return None if self.last is None else self._midnight(self.last + timedelta(days=1))

    def filter(self, field: str) -> str | None:
        """The search filter for what was created in it; None where that is everything.

        Args:
            field: the filter's name, such as `created_at`.
        """
        ends = ((">=", self.since), ("<", self.until))
        return " ".join(f"{field}:{sign}{search_time(instant)}" for sign, instant in ends if instant) or None

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


def check_days(since: date | None, until: date | None) -> None:
    """Check that there is a day from one to the other.

    Raises:
        UsageError: there is none.
    """
    if since and until and since > until:
        raise UsageError(f"There is no day from {since} to {until}: --since is the first day, --until the last.")
