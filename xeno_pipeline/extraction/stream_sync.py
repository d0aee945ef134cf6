"""The sync of one stream of one tenant: its history if that was never read, else what changed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.state import OVERLAP, SyncState, load_state, record_synced
from xeno_pipeline.extraction.stream_history import HistoryReader
from xeno_pipeline.extraction.stream_loader import StreamLoader


@dataclass(frozen=True)
class StreamSync(StreamLoader):
    """Syncs one stream of one tenant."""

    def run(self, *, full: bool = False, accept_deletions: bool = False) -> StreamReport:
        """Read the history if it was never read, else the changes.

        Args:
            full: read the history again, and mark absent objects as deleted.
            accept_deletions: mark them however many they are.

        Raises:
            XenoError: it failed; only whole objects were written.
        """
        started, asked_at = time.monotonic(), datetime.now(UTC)
        with self.database.connect() as connection:
            state = load_state(connection, self.tenant.tenant_id, self.stream.name)
        if state.history_loaded_at is None:
            report = HistoryReader(replace(self, span=None), accept_deletions).read(state)
        elif full:
            report = HistoryReader(self, accept_deletions).read(state)
        else:
            report = self._read_changes(state)
        if self.span is None or state.history_loaded_at is None:  # a span says nothing of later changes
            if report.mode == "bulk" and report.cursor_after:
                asked_at = report.cursor_after  # an earlier sync may have begun the operation
            with self.database.connect() as connection:
                record_synced(connection, self.tenant.tenant_id, [self.stream.name], asked_at)
        report.record_cost(self.client.usage, time.monotonic() - started)
        return report

    def _read_changes(self, state: SyncState) -> StreamReport:
        assert state.cursor_at is not None
        report = self.new_report("pages", state)
        if state.query_version != self.stream.query_version:
            report.notes.append(
                f"{self.tenant.tenant_id}: the history of {self.stream.name} was read by an older query, which may "
                f"lack fields; `xeno sync {self.tenant.tenant_id} --stream {self.stream.name} --full` reads it again."
            )
        pages = self.pager().changes(state.cursor_at - OVERLAP)
        read_up_to = self.load_pages(self.track_pages(pages, None), report)
        report.cursor_after = max(state.cursor_at, read_up_to or state.cursor_at)
        return report
