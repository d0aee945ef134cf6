"""Setting objects aside: `ops.set_aside` lists what Shopify has and raw cannot take as it is.

An object is set aside as a whole, for whatever of its records is wrong: an order without one of its sales would be
silently wrong. Its older version in raw, if any, stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw.tables import RawTable

UNIDENTIFIED = 0
"""The id of list entries for records without a usable id of their own or of a parent."""

TOO_SLOW = "it takes Shopify too long to answer"
"""The reason for an object that is too slow to read. Nothing is known to be wrong with it."""


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
