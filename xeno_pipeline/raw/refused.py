"""Records that do not fit their tables, and what a load could not take."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Refused:
    """A record that does not fit its table.

    Args:
        reason: the field, and what kind of problem it has; never a value.
        root_id: the object that it is or belongs to; None where that is not known.
        within: where it is not known, the record's parent, which is no object itself but belongs to one.
        own_id: the record's own id, where it is no object and may have children.
        gid: the object's, where it is more than its kind and number.
        is_root: whether it is an object; None where even that is not known.
        updated_at, created_at, customer_id: the object's, if known.
    """

    reason: str
    root_id: int | None = None
    within: str | None = None
    own_id: str | None = None
    gid: str | None = None
    is_root: bool | None = None
    updated_at: datetime | None = None
    created_at: datetime | None = None
    customer_id: int | None = None


@dataclass
class Refusals:
    """What a load could not take.

    Args:
        count: how many records.
        roots: the objects to set aside, with a record of each that was refused.
        within: by parent, records of which only that parent is known so far.
        parents: refused records that may have children, with the object that they belong to.
        lost_roots: records that may be objects, and do not say which.
        lost_children: records that may be parts of objects, and do not say of which.
        lost_reason: of one of those.
    """

    count: int = 0
    roots: dict[int, Refused] = field(default_factory=dict)
    within: dict[str, Refused] = field(default_factory=dict)
    parents: dict[str, int] = field(default_factory=dict)
    lost_roots: int = 0
    lost_children: int = 0
    lost: int = 0
    lost_reason: str = ""

    def add(self, refused: Refused) -> None:
        """Add a record."""
        self.count += 1
        if refused.root_id is not None:
            if refused.is_root or refused.root_id not in self.roots:  # the object itself is more informative
                self.roots[refused.root_id] = refused
            if refused.own_id is not None:
                self.parents[refused.own_id] = refused.root_id
        elif refused.within is not None:
            self.within.setdefault(refused.within, refused)
        else:
            self.add_unidentified(refused)

    def add_unidentified(self, refused: Refused) -> None:
        """Add a record that belongs to no known object."""
        self.lost += 1
        self.lost_roots += refused.is_root is not False
        self.lost_children += refused.is_root is not True
        self.lost_reason = self.lost_reason or refused.reason

    def resolve(self, owners: dict[str, int]) -> None:
        """Assign the records that only name a parent to their objects.

        Args:
            owners: the objects of parents that were not refused themselves.
        """
        for parent, refused in self.within.items():
            root_id = self.parents.get(parent, owners.get(parent))
            if root_id is None:
                self.add_unidentified(refused)
            else:
                self.roots.setdefault(root_id, refused)
        self.within = {}
