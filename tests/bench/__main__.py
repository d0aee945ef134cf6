"""`make bench`: every benchmark, as ratios within one run; a table for people, and one JSON object on standard output.

python -m tests.bench [NAME…]

The table has the goal of each figure, and what it was the last time, which is kept in `build/bench.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import (
    bi,
    day,
    exports,
    fairness,
    gateway,
    history,
    insights,
    marts,
    predictions,
    segments,
    size,
    thousand,
)
from tests.bench.goals import goal_of

BENCHMARKS: dict[str, Callable[..., dict[str, float]]] = {
    "history": history.run,
    "marts": marts.run,
    "bi": bi.run,
    "bi_of_200000": partial(bi.run, orders=200_000),
    "fairness": fairness.run,
    "thousand": thousand.run,
    "day": day.run,
    "gateway": gateway.run,
    "exports": exports.run,
    "insights": insights.run,
    "segments": segments.run,
    "predictions": predictions.run,
    "size": size.run,  # slow: it is the last
}
LAST = Path(__file__).parents[2] / "build" / "bench.json"

Figures = dict[str, dict[str, float]]


def main(names: list[str]) -> int:
    """Run the benchmarks of those names, all without any."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.stderr.write(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}.\n")
        return 2
    err = Console(stderr=True)
    last = read_last(LAST)
    measured: Figures = {}
    for name in names or BENCHMARKS:
        with err.status(f"{name}: measuring"), tempfile.TemporaryDirectory(prefix="xeno-bench-") as folder:
            measured[name] = BENCHMARKS[name](Path(folder))
        err.print(table(name, measured[name], last.get(name, {})))
        keep(LAST, {**last, **measured})
    sys.stdout.write(json.dumps(measured) + "\n")
    return 0


def read_last(path: Path) -> Figures:
    """What was measured the last time; nothing the first time."""
    last: Figures = json.loads(path.read_text()) if path.exists() else {}
    return last


def keep(path: Path, measured: Figures) -> None:
    """Keep figures for the next run."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(measured, indent=2) + "\n")


def table(name: str, figures: Mapping[str, float], last: Mapping[str, float]) -> Table:
    """A benchmark's figures, beside those of the last time and their goals."""
    made = Table("figure", title=name, title_justify="left")
    for column in ("measured", "last", "goal"):
        made.add_column(column, justify="right")
    for figure, value in figures.items():
        goal = goal_of(name, figure)
        style = None if goal is None else "green" if goal.is_met(value) else "red"
        before = _written(last[figure]) if figure in last else ""
        made.add_row(figure.replace("_", " "), _written(value), before, str(goal or ""), style=style)
    return made


def _written(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
