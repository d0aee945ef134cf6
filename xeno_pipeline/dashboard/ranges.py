"""The days that a page is about. They stand in its address as dates, so that a link shows the same tomorrow."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, cast, get_args

from xeno_pipeline.dashboard.formats import Formats
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.periods import FIRST_DAY, Period, UnusablePeriodError, period_between
from xeno_pipeline.insights.sales import GRAINS, Grain

Comparison = Literal["previous", "year", "none"]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)

_MOST_DAYS, _MOST_WEEKS = 92, 400
"""More of them make a chart of bars too narrow to point at, so that the next grain is the usual one."""


def N_(message: str) -> str:  # noqa: N802 - the customary name: it marks a text for the catalogues
    """The text itself, which is translated where it is shown."""
    return message


@dataclass(frozen=True)
class Range:
    """Days, what they are compared with, and how they are divided.

    Args:
        period: the days.
        first_known: the first day the store has; None before its first order.
        today: the shop's day that the marts call today.
    """

    period: Period
    today: date
    first_known: date | None
    comparison: Comparison
    grain: Grain

    @property
    def compared(self) -> Period | None:
        """The days that it is compared with."""
        if self.comparison == "none":
            return None
        if self.comparison == "previous":
            return self.period.before()
        return Period(_year_before(self.period.first), _year_before(self.period.last))

    @property
    def is_running(self) -> bool:
        """Whether the last day is not over."""
        return self.period.last >= self.today

    def presets(self) -> list[tuple[str, Period]]:
        """What one may choose by name."""
        return [(name, make(self.today)) for name, make in _PRESETS] + (
            [(N_("All time"), Period(self.first_known, self.today))] if self.first_known else []
        )

    def preset_name(self) -> str | None:
        """The name of these days."""
        return next((name for name, period in self.presets() if period == self.period), None)

    def query(self) -> dict[str, str | None]:
        """What says so in an address."""
        return {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}

    def label(self, start: date, formats: Formats) -> str:
        """What the day, week, month, quarter or year that begins on a day is called beside the others of the range."""
        if self.grain == "year":
            return str(start.year)
        if self.grain == "quarter":
            return f"{(start.month + 2) // 3}/{start.year}"
        if self.grain == "month":
            return formats.month(start)
        is_of_one_year = self.period.first.year == self.period.last.year
        return formats.short_day(start) if is_of_one_year else formats.day(start)


def read_range(query: Mapping[str, str], today: date, first_known: date | None) -> Range:
    """The range that an address asks for.

    Raises:
        UsageError: its days are none, or no period.
    """
    period = period_between(_day(query.get("from")), _day(query.get("to")), today)
    comparison = query.get("compare", "previous")
    if comparison not in COMPARISONS:
        raise UsageError(f"{comparison[:40]!r} is nothing to compare with: choose from {', '.join(COMPARISONS)}.")
    grain = query.get("grain") or _usual_grain(period)
    if grain not in GRAINS:
        raise UsageError(f"Sales are not divided by {grain[:40]!r}: choose from {', '.join(GRAINS)}.")
    return Range(period, today, first_known, cast(Comparison, comparison), cast(Grain, grain))


def start_of(grain: Grain, day: date) -> date:
    """The first day of the week, month, quarter or year that a day is in."""
    if grain == "week":
        return day - timedelta(day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if grain == "year" else day


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UnusablePeriodError(f"{text[:40]!r} is no day: write it like 2026-01-31.") from None


def _usual_grain(period: Period) -> Grain:
    if period.days <= _MOST_DAYS:
        return "day"
    return "week" if period.days <= _MOST_WEEKS else "month"


def _year_before(day: date) -> date:
    year = max(day.year - 1, FIRST_DAY.year)
    return date(year, day.month, min(day.day, monthrange(year, day.month)[1]))


def _last_days(days: int) -> Callable[[date], Period]:
    return lambda today: Period(today - timedelta(days - 1), today)


def _last_month(today: date) -> Period:
    end = today.replace(day=1) - timedelta(1)
    return Period(end.replace(day=1), end)


def _last_year(today: date) -> Period:
    return Period(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31))


_PRESETS: tuple[tuple[str, Callable[[date], Period]], ...] = (
    (N_("Today"), lambda today: Period(today, today)),
    (N_("Yesterday"), lambda today: Period(today - timedelta(1), today - timedelta(1))),
    (N_("Last 7 days"), _last_days(7)),
    (N_("Last 30 days"), _last_days(30)),
    (N_("Last 90 days"), _last_days(90)),
    (N_("Last 12 months"), lambda today: Period(_year_before(today) + timedelta(1), today)),
    (N_("This month"), lambda today: Period(today.replace(day=1), today)),
    (N_("Last month"), _last_month),
    (N_("This year"), lambda today: Period(today.replace(month=1, day=1), today)),
    (N_("Last year"), _last_year),
)
