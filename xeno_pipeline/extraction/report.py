"""What a sync tells: while it runs, and of what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from xeno_pipeline.warehouse.loading import TableCounts


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
    """Tell nobody."""


@dataclass
class StreamReport:
    """What the sync of one stream did.

    Args:
        mode: `bulk`, `pages`, or `facts` for the shop itself.
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

    def add(self, tables: dict[str, TableCounts]) -> None:
        """Add what one load did."""
        for name, counts in tables.items():
            self.tables.setdefault(name, TableCounts())
            self.tables[name] += counts


@dataclass(frozen=True)
class StreamFailure:
    """That the sync of one stream failed, and why; nothing of it is half-written."""

    tenant_id: str
    stream: str
    error: Exception


StreamResult = StreamReport | StreamFailure
