"""How far a run is: progress bars, or plain lines in a pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from xeno_pipeline.cli.terminal import err

if TYPE_CHECKING:
    from xeno_pipeline.extraction import report as extraction_report

_SECONDS_BETWEEN_LINES = 5.0


class ProgressDisplay:
    """Shows how far syncs and transforms are; called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, tuple[str, float]] = {}

    @contextmanager
    def shown(self) -> Iterator[ProgressDisplay]:
        """Show the bars for the length of a `with`."""
        if not err.is_terminal:
            yield self
            return
        with self._bars:
            yield self

    def on_progress(self, progress: extraction_report.Progress) -> None:
        """Show how far the sync of a stream is."""
        name = f"{progress.tenant_id} {progress.stream}"
        self._show(name, progress.phase, progress.done, progress.total)

    def on_node(self, name: str, done: int, total: int) -> None:
        """Show how far dbt is."""
        self._show("marts", f"made {name}", done, total)

    def on_rows(self, name: str, rows: int) -> None:
        """Show how many rows were exported; in a pipe nothing, since that may be the export."""
        if err.is_terminal:
            self._show(name, "rows", rows, None)

    def on_table(self, table: str, rows: int, total: int | None) -> None:
        """Show how much of a table was moved; in a pipe only what takes long."""
        self._show("tables", table, rows, total)

    def _show(self, name: str, phase: str, done: int, total: int | None) -> None:
        with self._lock:
            if err.is_terminal:
                self._show_bar(name, phase, done, total)
            else:
                self._show_line(name, phase, done, total)

    def _show_bar(self, name: str, phase: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], description=f"{name}: {phase}", completed=done, total=total)

    def _show_line(self, name: str, phase: str, done: int, total: int | None) -> None:
        """Print a line when a phase begins, and every few seconds while it lasts."""
        last_phase, shown_at = self._lines.get(name, ("", 0.0))
        now = time.monotonic()
        if (name not in ("marts", "tables") and phase != last_phase) or now - shown_at >= _SECONDS_BETWEEN_LINES:
            self._lines[name] = (phase, now)
            of = f" of {total:,}" if total is not None else ""
            err.print(f"{name}: {phase} {done:,}{of}", markup=False)
