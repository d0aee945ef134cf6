"""Benchmarks on stores so small that their figures say nothing: they run, and have the figures that goals are of."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.bench import bi, day, exports, history, size
from tests.bench.goals import GOALS

Benchmark = Callable[[Path], dict[str, float]]

QUICK: dict[str, Benchmark] = {
    "history": partial(history.run, orders={"large": 300, "small": 100}),
    "bi": partial(bi.run, orders=100, others=("other",)),
}
SLOW: dict[str, Benchmark] = {
    "size": partial(size.run, orders={"small": 200, "large": 1000}),
    "day": partial(day.run, tenants=2),
    "exports": partial(exports.run, orders=1000),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", QUICK)
def test_it_runs(tmp_path: Path, name: str) -> None:
    _check(name, QUICK[name](tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_it_runs_where_it_takes_longer(tmp_path: Path, name: str) -> None:
    _check(name, SLOW[name](tmp_path))


def _check(name: str, figures: dict[str, float]) -> None:
    missing = [goal for goal in GOALS[name] if not any(re.fullmatch(goal, figure) for figure in figures)]
    assert not missing
    assert min(figures.values()) >= 0
