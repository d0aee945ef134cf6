"""Compare what Shopify has with what raw has, by ids alone.

The ids from Shopify lie in a temporary table of the connection. Objects that raw lacks are listed; objects that Shopify
no longer has are marked as deleted, by the rules of a complete load.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw import merge as merging
from xeno_pipeline.raw.changes import ids_of, mark_changed
from xeno_pipeline.raw.completeness import Completeness, check_deletions
from xeno_pipeline.raw.load import lock
from xeno_pipeline.raw.tables import CUSTOMERS, RawTable

SeenId = tuple[int, datetime | None, int | None, str | None]
"""An object's id and time of change (None: missing or impossible); for a customer also the number of orders and the RFM
group, where both are known."""

_CREATE_COPIED = """
    create temporary table copied (
        id bigint not null, updated_at timestamptz, number_of_orders bigint, rfm_group text
    ) on commit drop
    """

_CREATE_SEEN = (
    "create temporary table seen as select distinct on (id) * from copied order by id, updated_at desc nulls last"
)

_GAPS = """
    select seen.id
    from seen
    left join raw.{root} held on held.tenant_id = %(tenant)s and held.id = seen.id
    left join ops.set_aside aside on aside.tenant_id = %(tenant)s and object = %(object)s and object_id = seen.id
    where (
        held.id is null or held.deleted_at < %(read_at)s
        or (held.deleted_at is null and held.updated_at < seen.updated_at)
    )
    and (aside.object_id is null or aside.updated_at is distinct from seen.updated_at)
    order by seen.id
    """

_REFRESH_CUSTOMERS = """
    update raw.customers held
    set number_of_orders = seen.number_of_orders,
        rfm_group = seen.rfm_group,
        payload = held.payload
            || jsonb_build_object('numberOfOrders', seen.number_of_orders::text)
            || jsonb_build_object('statistics', jsonb_build_object('rfmGroup', seen.rfm_group)),
        loaded_at = now()
    from seen
    where held.tenant_id = %s and held.id = seen.id and held.deleted_at is null and held.updated_at <= seen.updated_at
    and seen.number_of_orders is not null
    and (held.number_of_orders, held.rfm_group) is distinct from (seen.number_of_orders, seen.rfm_group)
    returning held.id
    """


@dataclass(frozen=True)
class IdComparison:
    """The comparison of one kind of object of a tenant.

    Args:
        connection: used by the comparison alone, in autocommit mode: it holds the ids from Shopify, and each step is a
            transaction of its own.
        root: the objects' table.
        read_at: when Shopify was read, by its clock.
    """

    connection: Connection
    tenant_id: str
    root: RawTable
    read_at: datetime

    def record(self, seen: Iterable[SeenId]) -> None:
        """Copy the ids from Shopify into the temporary table."""
        with self.connection.transaction():
            self.connection.execute("drop table if exists seen")
            self.connection.execute(_CREATE_COPIED)
            with self.connection.cursor() as cursor, cursor.copy("copy copied from stdin") as copy:
                for row in seen:
                    copy.write_row(row)
            self.connection.execute(_CREATE_SEEN)
            self.connection.execute("analyze seen")

    def gaps(self) -> Sequence[int]:
        """The objects at Shopify that raw lacks, or has in an older version.

        An object that was marked as deleted since the read is no gap, nor is one that is set aside and unchanged.
        """
        query = sql.SQL(_GAPS).format(root=sql.Identifier(self.root.name))
        bound = {"tenant": self.tenant_id, "object": self.root.name, "read_at": self.read_at}
        with self.connection.transaction():
            return [id_ for (id_,) in self.connection.execute(query, bound)]

    def refresh_customers(self) -> int:
        """Update the customers' fields that change without their `updatedAt`. Returns how many differed."""
        with self.connection.transaction():
            lock(self.connection, self.tenant_id, CUSTOMERS)
            refreshed = self.connection.execute(_REFRESH_CUSTOMERS, [self.tenant_id]).fetchall()
            if refreshed:
                mark_changed(self.connection, self.tenant_id, CUSTOMERS, ids_of(refreshed))
        return len(refreshed)

    def absent(self, complete: Completeness) -> list[int]:
        """The live objects in raw that Shopify no longer has, within what the comparison covers."""
        with self.connection.transaction():
            return [id_ for (id_,) in self.connection.execute(merging.missing(self.root), self._bound(complete))]

    def mark_absent_deleted(self, complete: Completeness) -> int:
        """Mark the absent objects as deleted. Returns how many.

        Raises:
            TooManyDeletionsError: it is more than one per cent of the objects in raw; nothing was marked.
        """
        bound = self._bound(complete)
        with self.connection.transaction():
            lock(self.connection, self.tenant_id, self.root)
            row = self.connection.execute(merging.count_missing(self.root), bound).fetchone()
            assert row is not None
            check_deletions(self.tenant_id, self.root, *row, complete=complete)
            self.connection.execute(merging.CREATE_CHANGED_ROOTS)
            deleted = self.connection.execute(merging.tombstone_missing(self.root), bound).fetchone()
            assert deleted is not None
            mark_changed(self.connection, self.tenant_id, self.root, "select id from changed_roots")
            self.connection.execute(merging.clear_missing(self.root), bound)
        return int(deleted[0])

    def _bound(self, complete: Completeness) -> dict[str, object]:
        return {
            "tenant": self.tenant_id,
            "read_at": self.read_at,
            "visible_since": complete.visible_since,
            "visible_until": complete.visible_until,
        }
