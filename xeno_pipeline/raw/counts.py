"""What a load did to a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TableCounts:
    """What a load did to one table, in rows."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    """Rows removed, and roots marked as deleted."""
    set_aside: int = 0
    """Objects that do not fit, counted at their root table; and records that belong to no known object."""

    @property
    def changed(self) -> int:
        """Rows inserted, updated or deleted."""
        return self.inserted + self.updated + self.deleted

    def __iadd__(self, other: TableCounts) -> TableCounts:
        self.read += other.read
        self.inserted += other.inserted
        self.updated += other.updated
        self.deleted += other.deleted
        self.set_aside += other.set_aside
        return self
