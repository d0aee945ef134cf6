"""The log of a run: the progress of a sync while it goes on, and its results."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import dagster as dg

from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.report import Progress, StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.streams import SHOP
from xeno_pipeline.extraction.sync import Syncer

_SECONDS_BETWEEN_LINES = 15.0
"""For all streams of a run together: a line is an event of Dagster's, and costs milliseconds."""


class ProgressLog:
    """Logs from time to time how far each stream is that has progressed since. Safe to call from any thread.

    Args:
        log: of the run.
        seconds_between: the shortest time between two log events.
    """

    def __init__(self, log: dg.DagsterLogManager, seconds_between: float = _SECONDS_BETWEEN_LINES) -> None:
        self._log, self._seconds_between = log, seconds_between
        self._lock = threading.Lock()
        self._logged_at = time.monotonic()
        self._pending: dict[tuple[str, str], Progress] = {}

    def add(self, progress: Progress) -> None:
        """Remember how far a stream is, and log all that is pending when it is time."""
        with self._lock:
            self._pending[progress.tenant_id, progress.stream] = progress
            now = time.monotonic()
            if now < self._logged_at + self._seconds_between:
                return
            self._logged_at, pending = now, list(self._pending.values())
            self._pending.clear()
        self._log.info("\n".join(_progress_line(each) for each in pending))


def logging_progress(syncer: Syncer, log: dg.DagsterLogManager) -> Syncer:
    """The syncer, reporting its progress to a run's log as well."""
    progress_log, on_progress = ProgressLog(log), syncer.on_progress

    def report(progress: Progress) -> None:
        on_progress(progress)
        progress_log.add(progress)

    return replace(syncer, on_progress=report)


def log_results(log: dg.DagsterLogManager, results: Sequence[StreamResult]) -> None:
    """Log what each stream read, its notes, and its failure. Streams without a change are only counted."""
    idle = {result.tenant_id for result in results if isinstance(result, StreamReport) and result.is_idle}
    if idle:
        log.info(f"{len(idle):,} tenant{'s' * (len(idle) != 1)} had no changes in at least one stream.")
    for result in results:
        if isinstance(result, StreamFailure):
            log.error(f"{result.tenant_id}: the sync of {result.stream} failed. {safe_message(result.error)}")
            continue
        if result.is_idle or (result.stream == SHOP and not result.rows_changed and not result.notes):
            continue  # a line is an event of Dagster's, and costs milliseconds
        for note in result.notes:
            log.warning(note)
        log.info(
            f"{result.tenant_id}: {result.stream} by {result.mode}: {result.rows_read:,} rows read, "
            f"{result.rows_changed:,} changed, {result.points:,.0f} points, {result.seconds:.1f} s."
        )


def _progress_line(progress: Progress) -> str:
    of = f" of {progress.total:,}" if progress.total is not None else ""
    return f"{progress.tenant_id}: {progress.stream}: {progress.phase} {progress.done:,}{of}"
