"""Whatever is taken for a value of a column, PostgreSQL takes too; what does not fit is refused, and not quoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.raw.copy_format import (
    NULL,
    InvalidValueError,
    amount,
    bigint,
    boolean,
    instant,
    integer,
    json,
    text,
    texts,
)

TAKEN: list[tuple[Callable[[Any], str], Any]] = [
    (instant, "2026-11-01T10:00:00Z"),
    (instant, "2026-11-01T10:00:00.123456+05:30"),
    (instant, "0001-01-01T00:00:00+14:59"),
    (instant, "12026-11-01T00:00:00Z"),
    (instant, "294275-12-31T23:59:59.999999-14:59"),
    (instant, "2024-02-29T24:00:00Z"),
    (instant, "2016-12-31T23:59:60Z"),
    (amount, "0.0"),
    (amount, "-999999999999.99"),
    (amount, "1e3"),
    (amount, "1e-400"),
    (integer, -(2**31)),
    (integer, 2**31 - 1),
    (bigint, str(2**63 - 1)),
    (bigint, -(2**63)),
    (boolean, True),
    (boolean, False),
    (text, "\\N \\. \t\r\n \x00 \x7f 🧦"),
    (texts, []),
    (texts, ["NULL", "", 'a"b\\c', "{}", ",", "\x00\t\n"]),
]
REFUSED: list[tuple[Callable[[Any], Any], Any]] = [
    (instant, "0000-12-30T00:00:00Z"),
    (instant, "2026-13-01T00:00:00Z"),
    (instant, "2026-02-30T00:00:00Z"),
    (instant, "294277-01-01T00:00:00Z"),
    (instant, "2026-11-01T25:00:00Z"),
    (instant, "2026-11-01T10:00:00"),
    (instant, "2026-11-01"),
    (instant, "2026-W01-1T00:00:00Z"),
    (instant, "infinity"),
    (instant, "now"),
    (instant, ""),
    (instant, 1_793_500_000),
    (amount, "2e12"),
    (amount, "-1000000000000"),
    (amount, "1e17"),
    (amount, "NaN"),
    (amount, "Infinity"),
    (amount, "1_000"),
    (amount, "١٢"),
    (amount, "12 "),
    (amount, 12),
    (amount, 1.5),
    (integer, 2**31),
    (integer, "x"),
    (integer, 1.0),
    (integer, True),
    (bigint, 2**63),
    (bigint, "9" * 19),
    (bigint, "9" * 5000),
    (boolean, 1),
    (boolean, "yes"),
    (text, 1),
    (text, ["a"]),
    (text, {}),
    (texts, "abc"),
    (texts, [None]),
    (texts, ["a", 1]),
    (texts, {"a": 1}),
    (json, {"a": "\ud800"}),
    (json, 10**30),
]
COLUMNS = {"integer": integer, "bigint": bigint, "numeric": amount, "timestamptz": instant, "boolean": boolean}
COLUMNS |= {"text": text, "text[]": texts}


@pytest.fixture(scope="module")
def anything(server: EmbeddedServer) -> Database:
    return Database(server.url)


def copied(database: Database, type_: str, value: str) -> Any:
    """What PostgreSQL makes of a value, with settings that would read an ambiguous one otherwise."""
    with database.connect() as connection:
        connection.execute("set datestyle = 'SQL, DMY'; set timezone = 'Africa/Cairo'")
        connection.execute(f"create temporary table held (value {type_}) on commit drop")
        with connection.cursor() as cursor, cursor.copy("copy held from stdin") as copy:
            copy.write(f"{value}\n".encode())
        ((held,),) = connection.execute("select value::text from held").fetchall()
        return held


def _id(value: Any) -> str:
    """A name that is the same in every worker: functions have addresses."""
    return str(getattr(value, "__name__", None) or repr(value)[:40])


@pytest.mark.parametrize(("make", "value"), TAKEN, ids=_id)
def test_what_is_taken_fits_its_column(anything: Database, make: Callable[[Any], str], value: Any) -> None:
    (type_,) = (name for name, maker in COLUMNS.items() if maker is make)
    assert copied(anything, type_, make(value)) is not None


@pytest.mark.parametrize(("make", "value"), REFUSED, ids=_id)
def test_what_does_not_fit_is_refused_and_not_quoted(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InvalidValueError) as misfit:
        make(value)
    assert len(str(misfit.value)) < 60
    assert isinstance(value, str) is False or len(value) < 4 or value not in str(misfit.value)


@pytest.mark.parametrize("make", [instant, amount, integer, bigint, boolean, text, texts])
def test_null_is_null(make: Callable[[Any], str]) -> None:
    assert make(None) == NULL


_LIKE_AN_INSTANT = (
    r"[0-9]{4,6}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])"
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.from_regex(_LIKE_AN_INSTANT, fullmatch=True),
        st.from_regex(r"[+-]?[0-9]{0,14}\.?[0-9]{0,5}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    )
)
@example("2024-02-29T24:00:00+14:59")
def test_what_looks_like_a_date_or_an_amount_is_refused_or_fits(anything: Database, value: str) -> None:
    for type_, make in (("timestamptz", instant), ("numeric", amount)):
        try:
            made = make(value)
        except InvalidValueError:
            continue
        assert copied(anything, type_, made) is not None
