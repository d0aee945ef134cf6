"""Periods that figures are asked for: days in the shop's time zone, and the equal span before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from xeno_pipeline.errors import UsageError

FIRST_DAY = date(1990, 1, 1)
LAST_DAY = date(2100, 12, 31)
"""Dates outside of these are no shop's: the marts hold none before, and none much later than today."""

_USUAL_DAYS = 30


class UnusablePeriodError(UsageError):
    """These days are no period."""


@dataclass(frozen=True)
class Period:
    """Days from the first to the last, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def before(self) -> Period:
        """The period of as many days that ends on the day before."""
        return Period(self.first - timedelta(self.days), self.first - timedelta(1))


def period_between(first: date | None, last: date | None, today: date) -> Period:
    """The period between two days.

    Args:
        first: None for thirty days up to the last.
        last: None for today, or the first day where that is later.

    Raises:
        UnusablePeriodError: it ends before it begins, or a day lies outside of FIRST_DAY to LAST_DAY.
    """
    end = last or max(today, first or today)
    begin = first or max(end - timedelta(_USUAL_DAYS - 1), FIRST_DAY)
    check_days(begin, end)
    return Period(begin, end)


def check_days(first: date | None, last: date | None) -> None:
    """Check the ends of a period, each of which may be open.

    Raises:
        UnusablePeriodError: it ends before it begins, or a day lies outside of FIRST_DAY to LAST_DAY.
    """
    for day in (first, last):
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise UnusablePeriodError(
                f"{day.isoformat()} is no day of a shop's: choose one from {FIRST_DAY} to {LAST_DAY}."
            )
    if first is not None and last is not None and last < first:
        raise UnusablePeriodError(f"The period ends on {last}, before it begins on {first}: exchange the two days.")
