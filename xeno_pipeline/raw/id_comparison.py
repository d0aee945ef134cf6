"""Comparing what Shopify has with what raw has, by ids alone.

The ids that were read lie in a temporary table for as long as the connection lives; what is missing in raw is told,
what is gone at Shopify is marked, by the rule that a complete load follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw import merge as merging
from xeno_pipeline.raw.load import Completeness, check_deletions, ids_of, lock, mark_changed
from xeno_pipeline.raw.tables import CUSTOMERS, RawTable

Seen = tuple[int, datetime | None, int | None, str | None]
"""An object's id and time of change (None: it tells none that can be); of a customer the number of orders and RFM group
too, where it tells them."""

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
    """What Shopify has of one kind of object, as far as it was asked.

    Args:
        connection: for the comparison alone: it holds what was seen. Each step is a transaction of its own.
        tenant_id: whose objects they are.
        root: their table.
        read_at: when Shopify was read, by its clock.
    """

    connection: Connection
    tenant_id: str
    root: RawTable
    read_at: datetime

    def see(self, seen: Iterable[Seen]) -> None:
        """Take down what Shopify has."""
        with self.connection.transaction():
            self.connection.execute("drop table if exists seen")
            self.connection.execute(_CREATE_COPIED)
            with self.connection.cursor() as cursor, cursor.copy("copy copied from stdin") as copy:
                for row in seen:
                    copy.write_row(row)
            self.connection.execute(_CREATE_SEEN)
            self.connection.execute("analyze seen")

    def gaps(self) -> Sequence[int]:
        """What was seen, and is not in raw as it is at Shopify.

        What was marked as deleted since then is no gap, nor what is set aside and has not changed since.
        """
        query = sql.SQL(_GAPS).format(root=sql.Identifier(self.root.name))
        bound = {"tenant": self.tenant_id, "object": self.root.name, "read_at": self.read_at}
        with self.connection.transaction():
            return [id_ for (id_,) in self.connection.execute(query, bound)]

    def refresh_customers(self) -> int:
        """Take over what changes of a customer without its time of change. Returns how many differed."""
        with self.connection.transaction():
            lock(self.connection, self.tenant_id, CUSTOMERS)
            refreshed = self.connection.execute(_REFRESH_CUSTOMERS, [self.tenant_id]).fetchall()
            if refreshed:
                mark_changed(self.connection, self.tenant_id, CUSTOMERS, ids_of(refreshed))
        return len(refreshed)

    def absent(self, complete: Completeness) -> list[int]:
        """What is in raw, and neither marked as deleted nor seen.

        Args:
            complete: what the comparison covers.
        """
        with self.connection.transaction():
            return [id_ for (id_,) in self.connection.execute(merging.missing(self.root), self._bound(complete))]

    def mark_absent_deleted(self, complete: Completeness) -> int:
        """Mark as gone what is in raw and was not seen.

        Args:
            complete: what the comparison covers.

        Returns:
            How many were marked.

        Raises:
            TooManyGoneError: it is more than one per cent of what is there; nothing was marked.
        """
        bound = self._bound(complete)
        with self.connection.transaction():
            lock(self.connection, self.tenant_id, self.root)
            row = self.connection.execute(merging.count_missing(self.root), bound).fetchone()
            assert row is not None
            check_deletions(self.tenant_id, self.root, *row, complete=complete)
            self.connection.execute(merging.CREATE_CHANGED_ROOTS)
            gone = self.connection.execute(merging.tombstone_missing(self.root), bound).fetchone()
            assert gone is not None
            mark_changed(self.connection, self.tenant_id, self.root, "select id from changed_roots")
            self.connection.execute(merging.unlist_missing(self.root), bound)
        return int(gone[0])

    def _bound(self, complete: Completeness) -> dict[str, object]:
        return {
            "tenant": self.tenant_id,
            "read_at": self.read_at,
            "visible_since": complete.visible_since,
            "visible_until": complete.visible_until,
        }
