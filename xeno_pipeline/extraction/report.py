"""What a sync reports: its progress, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.errors import UnexpectedError, XenoError
from xeno_pipeline.extraction.streams import Stream
from xeno_pipeline.raw.counts import TableCounts
from xeno_pipeline.raw.tables import tree
from xeno_pipeline.shopify.usage import Usage


@dataclass(frozen=True)
class Progress:
    """How far the sync of one stream has come.

    Args:
        phase: what it does now: waiting, collecting, downloading, loading or reading.
        done: objects or lines so far.
        total: of how many; None where it is not known.
    """

    tenant_id: str
    stream: str
    phase: str
    done: int
    total: int | None = None


ProgressSink = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Ignore the progress."""


@dataclass
class StreamReport:
    """What the sync of one stream did.

    Args:
        mode: `bulk`, `pages`, `events`, `counts` or `ids` where raw was compared with Shopify, `facts` for the shop
            itself, or `idle` where there was nothing new.
        tables: rows read, inserted, updated and deleted by raw table.
        cursor_before: up to when changes were known to be in raw; None before the history was loaded.
        notes: what a person should know besides.
    """

    tenant_id: str
    stream: str
    mode: str
    tables: dict[str, TableCounts] = field(default_factory=dict)
    cursor_before: datetime | None = None
    cursor_after: datetime | None = None
    requests: int = 0
    points: float = 0.0
    seconds_waiting: float = 0.0
    bytes: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def rows_read(self) -> int:
        """Rows that came from Shopify, all tables together."""
        return sum(counts.read for counts in self.tables.values())

    @property
    def rows_changed(self) -> int:
        """Rows of raw that are not as they were."""
        return sum(counts.changed for counts in self.tables.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing was read, because the store reported no changes."""
        return self.mode == "idle"

    @property
    def set_aside(self) -> int:
        """Objects that do not fit, and were set aside."""
        return sum(counts.set_aside for counts in self.tables.values())

    def record_cost(self, usage: Usage, seconds: float) -> None:
        """Record its cost and duration, and note how many objects did not fit."""
        if self.set_aside:
            self.notes.append(
                f"{self.tenant_id}: {self.set_aside:,} {self.stream} do not fit and were set aside; "
                f"`xeno tenant show {self.tenant_id}` names them."
            )
        self.requests, self.points, self.bytes = usage.requests, usage.points, self.bytes + usage.bytes
        self.seconds_waiting += usage.seconds_waiting
        self.seconds = seconds

    def add(self, tables: dict[str, TableCounts]) -> None:
        """Add what one load did."""
        for name, counts in tables.items():
            self.tables.setdefault(name, TableCounts())
            self.tables[name] += counts


def empty_report(tenant_id: str, stream: Stream, mode: str, cursor_at: datetime | None) -> StreamReport:
    """A report before anything is read."""
    tables = {table.name: TableCounts() for table in tree(stream.root)}
    return StreamReport(tenant_id, stream.name, mode, tables, cursor_at, cursor_at)


@dataclass(frozen=True)
class StreamFailure:
    """That the sync of one stream failed, and why; nothing of it is half-written."""

    tenant_id: str
    stream: str
    error: Exception

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without exceptions of others, which need not survive that and may quote rows."""
        error = self.error if isinstance(self.error, XenoError) else UnexpectedError(safe_message(self.error))
        return StreamFailure, (self.tenant_id, self.stream, error)


StreamResult = StreamReport | StreamFailure

ResultSink = Callable[[StreamResult], None]


def ignore_result(_: StreamResult) -> None:
    """Ignore the result."""
