"""What each figure of the benchmarks is to be, where that is settled; all others are what those are made of."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A bound of a figure.

    Args:
        is_at_most: whether it is the most that the figure may be; otherwise the least.
    """

    bound: float
    is_at_most: bool = True

    def is_met(self, value: float) -> bool:
        """Whether a figure keeps to it."""
        compare: Callable[[float, float], bool] = operator.le if self.is_at_most else operator.ge
        return compare(value, self.bound)

    def __str__(self) -> str:
        return f"{'at most' if self.is_at_most else 'at least'} {self.bound:g}"


GOALS = {
    "history": {
        "lines_per_second_of_plain_copy": Goal(0.8, is_at_most=False),
        "peak_mib": Goal(200),
        "peak_of_large_over_small": Goal(1.1),
        "line_of_large_over_small": Goal(1.1),
    },
    "size": {
        "load_of_large_over_small": Goal(1.2),
        "model_of_large_over_small": Goal(1.2),
        "peak_mib": Goal(200),
        "peak_of_large_over_small": Goal(1.1),
    },
    "marts": {
        "nothing_to_do_over_trivial_model": Goal(1.3),
        "changed_over_nothing_to_do": Goal(1.2),
        "forty_over_one": Goal(1.2),
        "first_build_over_by_hand": Goal(1.0),
    },
    "bi": {"worst": Goal(1.5), "[a-z_]+_ms": Goal(100)},
    "bi_of_200000": {"worst": Goal(1.5), "[a-z_]+_ms": Goal(100)},
    "fairness": {"beside_over_alone": Goal(1.5)},
    "thousand": {"cpu_seconds_a_tenant": Goal(0.2)},
    "day": {"hours_a_day": Goal(24)},
    "gateway": {"durable_over_verify_only": Goal(0.8, is_at_most=False), "durable_milliseconds_p99": Goal(250)},
    "exports": {
        "csv_over_psql": Goal(1.3),
        "csv_mebibytes": Goal(100),
        "parquet_over_psql": Goal(1.3),
        "parquet_mebibytes": Goal(300),
    },
    "insights": {
        r"304_[\w-]+": Goal(5),
        r"(?!cold_)[\w-]+": Goal(150),
    },
    "segments": {"preview_ms": Goal(1000), "on_top_cpu_ms": Goal(100)},
    "predictions": {
        "fit_cpu_seconds_a_small_store": Goal(0.3),
        "one_customer_ms": Goal(10),
        "hundred_most_valuable_seconds": Goal(1),
        "hundred_most_valuable_as_tenant_seconds": Goal(1),
    },
}
"""By benchmark and figure, which may be a pattern; the first that fits a figure is its goal."""


def goal_of(benchmark: str, figure: str) -> Goal | None:
    """The goal of a figure; None where it has none."""
    goals = GOALS.get(benchmark, {})
    return next((goal for pattern, goal in goals.items() if re.fullmatch(pattern, figure)), None)
