"""Which objects a read could see, so that those it lacks are deleted at Shopify; and how many may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from xeno_pipeline.errors import XenoError
from xeno_pipeline.raw.tables import RawTable

_MOST_DELETED = 0.01
"""The share of a stream that may be deleted between two complete reads without confirmation."""


class TooManyDeletionsError(XenoError):
    """A complete read lacks more objects than are usually deleted between two reads."""


@dataclass(frozen=True)
class Completeness:
    """States that a read holds everything that its token can see, so that absent objects are deleted.

    Args:
        visible_since: objects created before this instant were not visible (None: all were).
        accept: mark absent objects as deleted however many they are.
        visible_until: objects created at this instant or later were not visible either (None: all were).
    """

    visible_since: datetime | None = None
    accept: bool = False
    visible_until: datetime | None = None

    def within(self, since: datetime | None, until: datetime | None) -> Completeness:
        """The same for a read of objects created from `since` to before `until`."""
        known = [instant for instant in (self.visible_since, since) if instant]
        return replace(self, visible_since=max(known, default=None), visible_until=until)


def check_deletions(tenant_id: str, root: RawTable, missing: int, live: int, *, complete: Completeness) -> None:
    """Check that no more objects are deleted than usual, or that any number is accepted.

    Args:
        missing: how many objects the read lacks.
        live: how many there are in raw.

    Raises:
        TooManyDeletionsError: it is more than one per cent.
    """
    if missing > _MOST_DELETED * live and not complete.accept:
        raise TooManyDeletionsError(
            f"{tenant_id}: {missing:,} of {live:,} {root.name} are no longer at Shopify, more than one per cent; "
            "none of them was marked as deleted. If they really are, run it again with --accept-deletions."
        )
