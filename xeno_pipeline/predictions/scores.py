"""How well probabilities agree with what happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xeno_pipeline.predictions.statistics import Floats, Integers

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Fifth:
    """A fifth of the customers, by their probability of an order.

    Args:
        customers: how many they are.
        predicted: the mean of their probabilities.
        actual: the share of them who ordered.
    """

    customers: int
    predicted: float
    actual: float


def area_under_curve(score: Floats | Integers, happened: Booleans) -> float | None:
    """The probability that of two customers, one who ordered and one who did not, the former has the higher score.

    Returns:
        None where all did, or none.
    """
    values, of_row = np.unique(score, return_inverse=True)
    positive = np.bincount(of_row[happened], minlength=values.size)
    negative = np.bincount(of_row[~happened], minlength=values.size)
    pairs = int(positive.sum()) * int(negative.sum())
    if pairs == 0:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def brier_skill(probability: Floats, happened: Booleans) -> float | None:
    """By how much squared errors are smaller than those of the share of all, as a fraction of these.

    Returns:
        None where all did, or none.
    """
    share = float(happened.mean())
    base = share * (1 - share)
    return None if base == 0 else float(1 - np.square(probability - happened).mean() / base)


def best_hiatus(since_last: Integers, happened: Booleans) -> tuple[int, float]:
    """The rule "whoever ordered within so many days will order again" that was right most often, in hindsight.

    Args:
        since_last: days since each customer's last order.

    Returns:
        The days, and the share of customers that the rule is right for. −1 days: nobody will.
    """
    ordered = np.bincount(since_last, weights=happened)
    not_ordered = np.bincount(since_last, weights=~happened)
    right = np.concatenate([[0.0], np.cumsum(ordered - not_ordered)]) + not_ordered.sum()
    best = int(np.argmax(right))
    return best - 1, float(right[best] / happened.size)


def calibration(probability: Floats, happened: Booleans) -> list[Fifth]:
    """Predicted and actual shares by fifths of the customers, the least probable first."""
    fifths = np.array_split(np.argsort(probability, kind="stable"), 5)
    return [
        Fifth(fifth.size, float(probability[fifth].mean()), float(happened[fifth].mean()))
        for fifth in fifths
        if fifth.size
    ]
