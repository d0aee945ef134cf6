"""Steps of colour."""

from __future__ import annotations

from decimal import Decimal

import pytest

from xeno_pipeline.dashboard.heat import heat


@pytest.mark.parametrize(
    ("value", "most", "step"),
    [
        ("0", "10", "h0"),
        ("-1", "10", "h0"),
        ("0.01", "10", "h1"),
        ("5", "10", "h4"),
        ("10", "10", "h7"),
        ("1", "0", "h0"),
    ],
)
def test_the_most_is_darkest_and_nothing_is_pale(value: str, most: str, step: str) -> None:
    assert heat(Decimal(value), Decimal(most)) == step


def test_without_a_figure_there_is_no_heat() -> None:
    assert heat(None, Decimal(1)) == "h0"
