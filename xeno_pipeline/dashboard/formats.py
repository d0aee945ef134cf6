"""Money, numbers, days and times as somebody reads them: in their language, in the store's currency and time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_interval, format_skeleton, format_timedelta
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
)

NOTHING = "–"
"""Where there is no figure."""

_SHORT_BELOW = 10_000
_LEAST_SHOWN = Decimal("0.0005")
"""A fraction below would be written as 0.0%, and -0.0% is read as an error."""


@dataclass(frozen=True)
class Formats:
    """How values are written.

    Args:
        locale: whose customs are followed.
        currency: of all money; None where it is not known yet.
        zone: where times are shown.
    """

    locale: Locale
    currency: str | None
    zone: ZoneInfo

    def money(self, amount: Decimal | None) -> str:
        """An amount to the smallest unit of its currency."""
        if amount is None:
            return NOTHING
        if self.currency is None:
            return self.number(amount)
        return format_currency(_unsigned_zero(amount), self.currency, locale=self.locale)

    def short_money(self, amount: Decimal | None) -> str:
        """An amount as far as a glance needs it: €1.2M."""
        if amount is None or self.currency is None or -_SHORT_BELOW < amount < _SHORT_BELOW:
            return self.money(amount)
        return format_compact_currency(amount, self.currency, locale=self.locale, fraction_digits=1)

    def number(self, figure: Decimal | int | None) -> str:
        """A number, with two decimals at most."""
        return NOTHING if figure is None else format_decimal(figure, format="#,##0.##", locale=self.locale)

    def short_number(self, figure: Decimal | int | None) -> str:
        """A number as far as a glance needs it."""
        if figure is None or -_SHORT_BELOW < figure < _SHORT_BELOW:
            return self.number(figure)
        return format_compact_decimal(figure, locale=self.locale, fraction_digits=1)

    def percent(self, fraction: Decimal | None) -> str:
        """A fraction, with one decimal below a tenth."""
        if fraction is None:
            return NOTHING
        digits = "#,##0.0%" if 0 < abs(fraction) < Decimal("0.0995") else "#,##0%"
        fraction = Decimal(0) if abs(fraction) < _LEAST_SHOWN else fraction
        return format_percent(fraction, format=_percent_pattern(self.locale, digits), locale=self.locale)

    def growth(self, fraction: Decimal | None) -> str:
        """A growth, with its sign."""
        return f"+{self.percent(fraction)}" if self.direction(fraction) > 0 else self.percent(fraction)

    def direction(self, fraction: Decimal | None) -> int:
        """1 for a growth, -1 for a decline, 0 for one that is too small to be written, or none."""
        if fraction is None or abs(fraction) < _LEAST_SHOWN:
            return 0
        return 1 if fraction > 0 else -1

    def day(self, day: date | None) -> str:
        """A day, with its year."""
        return NOTHING if day is None else format_date(day, "medium", locale=self.locale)

    def long_day(self, day: date) -> str:
        """A day in full, with its weekday."""
        return format_date(day, "full", locale=self.locale)

    def short_day(self, day: date) -> str:
        """A day without its year."""
        return format_skeleton("MMMd", day, locale=self.locale)

    def month(self, day: date | None) -> str:
        """The month of a day."""
        return NOTHING if day is None else format_skeleton("yMMM", day, locale=self.locale)

    def span(self, first: date, last: date) -> str:
        """The days from one to another."""
        return self.day(first) if first == last else format_interval(first, last, "yMMMd", locale=self.locale)

    def time(self, instant: datetime | None) -> str:
        """An instant in the store's time zone."""
        if instant is None:
            return NOTHING
        return format_datetime(instant, "medium", tzinfo=self.zone, locale=self.locale)

    def short_time(self, instant: datetime | None) -> str:
        """An instant in the store's time zone, to the minute."""
        return NOTHING if instant is None else format_datetime(instant, "short", tzinfo=self.zone, locale=self.locale)

    def ago(self, instant: datetime | None) -> str:
        """How long ago an instant was."""
        if instant is None:
            return NOTHING
        passed = max(datetime.now(UTC) - instant, timedelta(0))
        return format_timedelta(-passed, add_direction=True, locale=self.locale)


def formats_for(locale: Locale, currency: str | None, zone: str | None) -> Formats:
    """The formats for a store; UTC where its zone is not known."""
    try:
        return Formats(locale, currency, ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return Formats(locale, currency, ZoneInfo("UTC"))


def _unsigned_zero(amount: Decimal) -> Decimal:
    """The amount, or a zero without a sign: `-0.00` is read as an error."""
    return amount + 0 if amount else Decimal(0)


def _percent_pattern(locale: Locale, digits: str) -> str:
    """How the locale writes a percentage of as many digits: German has a space before the sign."""
    usual = str(locale.percent_formats[None].pattern)
    return usual.replace("#,##0%", digits) if "#,##0%" in usual else usual.replace("#,##0", digits.removesuffix("%"))
