"""Setting objects aside: `ops.set_aside` lists what Shopify has and raw cannot take as it is.

An object is set aside as a whole, for whatever of its records is wrong: an order without one of its sales would be
silently wrong. Its older version in raw, if any, stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw.tables import RawTable

UNIDENTIFIED = 0
"""The id of list entries for records without a usable id of their own or of a parent."""

TOO_SLOW = "it takes Shopify too long to answer"
"""The reason for an object that is too slow to read. Nothing is known to be wrong with it."""


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


@dataclass(frozen=True)
class SetAside:
    """An object that is set aside; see the comments of `ops.set_aside`."""

    tenant_id: str
    object: str
    object_id: int
    gid: str
    reason: str
    records: int
    first_seen_at: datetime
    last_seen_at: datetime

    @property
    def name(self) -> str:
        """Its gid; for records without an id, their number."""
        return self.gid or f"{self.records:,} records without an id"


def list_objects(connection: Connection, tenant_id: str) -> Sequence[SetAside]:
    """The objects of a tenant that are set aside, the oldest entry first."""
    cursor = connection.cursor(row_factory=class_row(SetAside))
    query = """
        select tenant_id, object, object_id, gid, reason, records, first_seen_at, last_seen_at
        from ops.set_aside where tenant_id = %s order by first_seen_at, object, object_id
        """
    return cursor.execute(query, [tenant_id]).fetchall()


def only_set_aside(root: RawTable) -> str:
    """The query for the objects of `%(tenant)s` that are set aside and not live in raw, where they would be counted.

    A record without an id counts as an object for each time that it was read.
    """
    return f"""
        select object_id, created_at, customer_id
        from ops.set_aside aside
        cross join generate_series(1, records)
        where tenant_id = %(tenant)s and object = '{root.name}'
        and not exists (
            select from raw.{root.name} held
            where held.tenant_id = %(tenant)s and held.id = object_id and held.deleted_at is null
        )
        """


def ids_of(connection: Connection, tenant_id: str, root: RawTable) -> set[int]:
    """The objects of a kind that are set aside, and `UNIDENTIFIED` where records are."""
    query = "select object_id from ops.set_aside where tenant_id = %s and object = %s"
    return {id_ for (id_,) in connection.execute(query, [tenant_id, root.name])}


def slow_gids(connection: Connection, tenant_id: str, root: RawTable) -> set[str]:
    """The objects of a kind that are set aside because they take Shopify too long."""
    query = "select gid from ops.set_aside where tenant_id = %s and object = %s and reason = %s"
    return {gid for (gid,) in connection.execute(query, [tenant_id, root.name, TOO_SLOW])}


def forget(connection: Connection, tenant_id: str, root: RawTable, ids: Collection[int]) -> None:
    """Delete objects from the list: they no longer exist."""
    connection.execute(
        "delete from ops.set_aside where tenant_id = %s and object = %s and object_id = any(%s)",
        [tenant_id, root.name, list(ids)],
    )
