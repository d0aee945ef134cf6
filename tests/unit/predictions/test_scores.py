"""Scores of predictions, against their definitions on few customers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.predictions.scores import area_under_curve, best_hiatus, brier_skill, calibration

OUTCOMES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


@given(OUTCOMES)
def test_area_under_curve_counts_pairs(outcomes: list[tuple[int, bool]]) -> None:
    score, happened = np.array([each for each, _ in outcomes]), np.array([each for _, each in outcomes])
    pairs = [(mine > other) + (mine == other) / 2 for mine in score[happened] for other in score[~happened]]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert area_under_curve(score, happened) == (None if expected is None else pytest.approx(expected))


@given(OUTCOMES)
def test_the_best_hiatus_is_right_most_often(outcomes: list[tuple[int, bool]]) -> None:
    since, happened = np.array([each for each, _ in outcomes]), np.array([each for _, each in outcomes])
    right = {days: float(((since <= days) == happened).mean()) for days in range(-1, 8)}
    days, accuracy = best_hiatus(since, happened)
    assert accuracy == pytest.approx(max(right.values()))
    assert accuracy == pytest.approx(right[days])


def test_brier_skill() -> None:
    happened = np.array([True, False, True, False])
    assert brier_skill(np.array([1.0, 0.0, 1.0, 0.0]), happened) == 1
    assert brier_skill(np.full(4, 0.5), happened) == 0
    assert brier_skill(np.full(4, 0.5), np.full(4, True)) is None


def test_calibration_is_by_fifths() -> None:
    probability = np.linspace(0.99, 0.0, 100)
    fifths = calibration(probability, probability > 0.5)
    assert [fifth.customers for fifth in fifths] == [20] * 5
    assert [fifth.actual for fifth in fifths] == [0, 0, 0.45, 1, 1]
    assert fifths[0].predicted < fifths[4].predicted
    assert len(calibration(np.array([0.5]), np.array([True]))) == 1
