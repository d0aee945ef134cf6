"""How far a sync is, in the log of its run."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import dagster as dg

from xeno_pipeline.extraction.report import Progress
from xeno_pipeline.extraction.sync import Syncer

_SECONDS_BETWEEN_LINES = 15.0
"""For all streams of a run together: a line is an event of Dagster's, and costs milliseconds."""


class ProgressLog:
    """Writes now and then how far each stream is that has moved since; fed from any thread.

    Args:
        log: of the run.
        seconds_between: at least so many between two times.
    """

    def __init__(self, log: dg.DagsterLogManager, seconds_between: float = _SECONDS_BETWEEN_LINES) -> None:
        self._log, self._seconds_between = log, seconds_between
        self._lock = threading.Lock()
        self._told_at = time.monotonic()
        self._news: dict[tuple[str, str], Progress] = {}

    def take(self, progress: Progress) -> None:
        """Take in how far the sync of a stream is."""
        with self._lock:
            self._news[progress.tenant_id, progress.stream] = progress
            now = time.monotonic()
            if now < self._told_at + self._seconds_between:
                return
            self._told_at, news = now, list(self._news.values())
            self._news.clear()
        self._log.info("\n".join(_told(each) for each in news))


def logging_progress(syncer: Syncer, log: dg.DagsterLogManager) -> Syncer:
    """A syncer that tells a run's log how far it is, besides whom it tells already."""
    in_log, before = ProgressLog(log), syncer.on_progress

    def tell(progress: Progress) -> None:
        before(progress)
        in_log.take(progress)

    return replace(syncer, on_progress=tell)


def _told(progress: Progress) -> str:
    of = f" of {progress.total:,}" if progress.total is not None else ""
    return f"{progress.tenant_id}: {progress.stream}: {progress.phase} {progress.done:,}{of}"
