"""`make bench`: every benchmark, as ratios within one run; a table for people, and one JSON object on standard output.

python -m tests.bench [NAME…]
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import bi, exports, fairness, gateway, history, insights, marts, thousand

BENCHMARKS: dict[str, Callable[[Path], dict[str, float]]] = {
    "history": history.run,
    "marts": marts.run,
    "fairness": fairness.run,
    "thousand": thousand.run,
    "gateway": gateway.run,
    "bi": bi.run,
    "exports": exports.run,
    "insights": insights.run,
}


def main(names: list[str]) -> int:
    """Run the benchmarks of those names, all without any."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.stderr.write(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}.\n")
        return 2
    err = Console(stderr=True)
    measured: dict[str, dict[str, float]] = {}
    for name in names or BENCHMARKS:
        with err.status(f"{name}: measuring"), tempfile.TemporaryDirectory(prefix="xeno-bench-") as folder:
            measured[name] = BENCHMARKS[name](Path(folder))
        err.print(_table(name, measured[name]))
    sys.stdout.write(json.dumps(measured) + "\n")
    return 0


def _table(name: str, figures: dict[str, float]) -> Table:
    table = Table("figure", title=name, title_justify="left")
    table.add_column("measured", justify="right")
    for figure, value in figures.items():
        table.add_row(figure.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
