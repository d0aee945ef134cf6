"""Benchmarks on stores so small that their figures say nothing: they run, and have the figures that goals are of."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from tests.bench.__main__ import BENCHMARKS
from tests.bench.goals import GOALS
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings

QUICK: dict[str, dict[str, Any]] = {
    "history": {"orders": {"large": 300, "small": 100}},
    "marts": {"orders": {"large": 100, "small": 20, "first": 20, "second": 20}, "rounds": 1},
    "bi": {"orders": 100, "others": ("other",)},
    "gateway": {"seconds": 0.2, "rounds": 1},
    "exports": {"orders": 100, "rounds": 1},
    "insights": {"customers": 500, "seconds": 0.05},
    "segments": {"customers": 500, "rounds": 1},
    "predictions": {"customers": 900, "stores": 1},
}
SLOW: dict[str, dict[str, Any]] = {
    "fairness": {"orders": 10_000, "others": ("first", "second"), "rounds": 1},
    "thousand": {"tenants": 2},
    "day": {"tenants": 2},
    "size": {"orders": {"small": 200, "large": 1000}},
}
DIFFERENCES = {"on_top_cpu_ms"}
"""Figures that are what is left of two others, and so may be less than nothing in so small a store."""


@pytest.fixture(scope="module")
def prepared_home(make_parsed_home: Callable[[], Path]) -> Path:
    """A home whose database has the relations of all marts: making them takes longer than most small benchmarks."""
    settings = Settings(home=make_parsed_home(), database_url=None)
    database = open_migrated(settings)
    make_relations(database, DbtProject(settings))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")  # nobody keeps this server's data
    EmbeddedServer(settings.home).stop()
    return settings.home


@pytest.fixture
def folder(make_home: Callable[[], Path], prepared_home: Path) -> Path:
    """A folder for a benchmark, with nothing in it but a home of its own."""
    made = make_home()
    made.mkdir()
    # Python's own copy would give the server's files to whoever runs the tests.
    subprocess.run(["cp", "-pR", str(prepared_home), str(made / "home")], check=True)
    return made


def test_each_benchmark_has_a_small_version() -> None:
    small = {BENCHMARKS[name] for name in QUICK | SLOW}
    assert {getattr(benchmark, "func", benchmark) for benchmark in BENCHMARKS.values()} == small


@pytest.mark.thorough
@pytest.mark.parametrize("name", QUICK)
def test_it_runs(folder: Path, name: str) -> None:
    _check(name, QUICK[name], folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_it_runs_where_it_takes_longer(folder: Path, name: str) -> None:
    _check(name, SLOW[name], folder)


def _check(name: str, sizes: dict[str, Any], folder: Path) -> None:
    with patch.dict(os.environ):  # `make bench` has its process to itself, and leaves settings in its environment
        figures = BENCHMARKS[name](folder, **sizes)
    missing = [goal for goal in GOALS[name] if not any(re.fullmatch(goal, figure) for figure in figures)]
    assert not missing
    assert all(map(isfinite, figures.values()))
    assert min(value for figure, value in figures.items() if figure not in DIFFERENCES) >= 0
    if name == "predictions":
        assert min(figures.values()) > 0
