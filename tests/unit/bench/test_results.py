"""What `make bench` shows: figures beside their goals and what they were the last time."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench.__main__ import BENCHMARKS, keep, read_last, table
from tests.bench.goals import GOALS, goal_of


@pytest.mark.parametrize(
    ("benchmark", "figure", "goal"),
    [
        ("history", "lines_per_second_of_plain_copy", "at least 0.8"),
        ("marts", "forty_over_one", "at most 1.2"),
        ("insights", "overview", "at most 150"),
        ("insights", "customers_-net_sales", "at most 150"),
        ("insights", "304_overview", "at most 5"),
        ("insights", "cold_overview", "None"),
        ("bi", "the latest orders_ms", "None"),
        ("bi", "revenue_trends_ms", "at most 100"),
    ],
)
def test_the_goal_of_a_figure(benchmark: str, figure: str, goal: str) -> None:
    assert str(goal_of(benchmark, figure)) == goal


def test_goals_are_of_benchmarks_that_there_are() -> None:
    assert set(GOALS) <= set(BENCHMARKS)


def test_a_figure_stands_beside_its_goal_and_what_it_was_the_last_time(tmp_path: Path) -> None:
    kept = tmp_path / "build" / "bench.json"
    assert read_last(kept) == {}
    keep(kept, {"marts": {"forty_over_one": 1.5}})
    console = Console(file=StringIO(), width=100)
    console.print(table("marts", {"forty_over_one": 1.1, "one_seconds": 2.0}, read_last(kept)["marts"]))
    assert isinstance(console.file, StringIO)
    lines = [line.split("│")[1:-1] for line in console.file.getvalue().splitlines() if "│" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["forty over one", "1.10", "1.50", "at most 1.2"],
        ["one seconds", "2.00", "", ""],
    ]
