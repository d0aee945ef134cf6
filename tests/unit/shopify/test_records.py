"""What is read of a record without trust: its id, its times, and JSON that a strict reader refuses."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xeno_pipeline.shopify.records import changed_at, clock, loads, number_of


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-11-01T10:00:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00:00.250+02:00", datetime(2026, 11, 1, 8, 0, 0, 250_000, UTC)),
        ("1990-01-01T00:00:00Z", datetime(1990, 1, 1, tzinfo=UTC)),
        ("1989-12-31T23:59:59Z", None),
        ("0000-12-30T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("12026-11-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-01T10:00:00", None),
        ("yesterday", None),
        (None, None),
        (1_793_500_000, None),
        ({}, None),
    ],
)
def test_a_clock_is_an_instant_that_can_be(value: Any, instant: datetime | None) -> None:
    assert clock(value) == instant


def test_a_clock_may_be_ahead_of_ours_but_by_no_more_than_a_year() -> None:
    assert clock((datetime.now(UTC) + timedelta(days=360)).isoformat()) is not None
    assert clock((datetime.now(UTC) + timedelta(days=370)).isoformat()) is None


@pytest.mark.parametrize("record", [{}, {"updatedAt": []}, [], None, "text", {"updatedAt": None}])
def test_a_record_without_a_time_of_change_has_none(record: Any) -> None:
    assert changed_at(record) is None


@pytest.mark.parametrize(
    ("gid", "number"),
    [
        ("gid://shopify/Order/12", 12),
        ("gid://shopify/LineItem/12?key=a/b", 12),
        ("gid://shopify/Order/9223372036854775807", 2**63 - 1),
        ("gid://shopify/Order/9223372036854775808", None),
        ("gid://shopify/Order/" + "9" * 5000, None),
        ("gid://shopify/Order/0", None),
        ("gid://shopify/Order/-1", None),
        ("gid://shopify/Order/١٢", None),
        ("gid://shopify/Order/", None),
        ("", None),
        (12, None),
        (None, None),
        ([], None),
    ],
)
def test_a_number_is_one_that_an_id_can_be(gid: Any, number: int | None) -> None:
    assert number_of(gid) == number


def test_half_a_surrogate_pair_becomes_a_replacement_character_wherever_it_is() -> None:
    document = rb'{"a": ["\ud83dx", "\ude00\ud83d", "\ud83d\ude00"], "\ud800": 1}'

    assert loads(document) == {"a": ["\ufffdx", "\ufffd\ufffd", "😀"], "\ufffd": 1}


def test_a_number_that_is_too_large_is_infinite() -> None:
    assert loads(b"[1e400, -1e400, 1]") == [math.inf, -math.inf, 1]
    assert loads(b'["\\ud800", ' + b"9" * 400 + b"]") == ["\ufffd", math.inf]


@pytest.mark.parametrize("document", [b"", b"{", b"[NaN]", b"Infinity", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(document)
