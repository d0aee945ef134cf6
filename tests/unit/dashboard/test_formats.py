"""Values as people of several places read them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.dashboard.formats import formats_for
from xeno_pipeline.dashboard.texts import choose_locale

ENGLISH = formats_for(Locale("en"), "USD", "America/New_York")
GERMAN = formats_for(Locale("de"), "EUR", "Europe/Berlin")
INSTANT = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def test_money_is_in_its_currency_to_its_smallest_unit() -> None:
    assert ENGLISH.money(Decimal("1234.5000")) == "$1,234.50"
    assert GERMAN.money(Decimal("1234.5000")) == "1.234,50\xa0€"
    assert formats_for(Locale("en"), "JPY", None).money(Decimal("1234.0000")) == "¥1,234"
    assert ENGLISH.money(Decimal("-0.0000")) == "$0.00"
    assert ENGLISH.money(None) == "–"


def test_fractions_are_percentages() -> None:
    assert ENGLISH.percent(Decimal("0.4321")) == "43%"
    assert ENGLISH.percent(Decimal("0.0432")) == "4.3%"
    assert GERMAN.growth(Decimal("0.0432")) == "+4,3\xa0%"
    assert ENGLISH.growth(Decimal("-0.5")) == "-50%"
    assert ENGLISH.growth(Decimal(0)) == "0%"


def test_times_are_the_stores() -> None:
    assert "Jun 30, 2026, 10:30" in ENGLISH.time(INSTANT)
    assert GERMAN.time(INSTANT) == "01.07.2026, 04:30:00"
    assert formats_for(Locale("en"), "USD", "Nowhere/Else").zone.key == "UTC"


def test_days_are_written_as_the_language_has_them() -> None:
    assert ENGLISH.span(date(2026, 1, 3), date(2026, 2, 4)) == "Jan 3\u2009–\u2009Feb 4, 2026"
    assert GERMAN.day(date(2026, 1, 3)) == "03.01.2026"


@pytest.mark.parametrize(
    ("chosen", "accepted", "locale"),
    [
        (None, "de-AT,en;q=0.5", "de_AT"),
        (None, "fr, en-GB;q=0.3", "en_GB"),
        (None, "", "en"),
        (None, "xx;q=nonsense,,;q=", "en"),
        ("de", "en-GB", "de"),
        ("en", "de,en-GB;q=0.1", "en_GB"),
        ("xx", "de", "de"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(chosen: str | None, accepted: str, locale: str) -> None:
    assert str(choose_locale(chosen, accepted)) == locale


@given(st.text(max_size=80))
def test_whatever_a_browser_accepts_there_is_a_language(accepted: str) -> None:
    assert choose_locale(None, accepted).language in ("en", "de")
