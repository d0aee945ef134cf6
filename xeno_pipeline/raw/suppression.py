"""The list of redacted objects, `ops.suppressed`. Loads leave out their personal data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xeno_pipeline.raw.tables import RawTable

if TYPE_CHECKING:  # so that the process that maps need not load the driver
    from xeno_pipeline.database.connection import Connection


@dataclass(frozen=True, eq=False)
class Suppressed:
    """A tenant's suppressed objects; false where there are none.

    Args:
        ids: by the name of their raw table.
    """

    ids: Mapping[str, Collection[str]]

    def __bool__(self) -> bool:
        return bool(self.ids)

    def holds(self, table: RawTable, id_: str) -> bool:
        """Whether an object is suppressed itself."""
        return id_ in self.ids.get(table.name, ())


NO_SUPPRESSIONS = Suppressed({})


def load_suppressed(connection: Connection, tenant_id: str) -> Suppressed:
    """The objects of a tenant that are suppressed."""
    ids: defaultdict[str, set[str]] = defaultdict(set)
    query = "select object, object_id::text from ops.suppressed where tenant_id = %s"
    for name, id_ in connection.execute(query, [tenant_id]):
        ids[name].add(id_)
    return Suppressed(ids) if ids else NO_SUPPRESSIONS


def suppress(connection: Connection, tenant_id: str, table: RawTable, ids: Collection[int]) -> None:
    """Add objects to the list."""
    connection.execute(
        """
        insert into ops.suppressed (tenant_id, object, object_id) select %s, %s, unnest(%s::bigint[])
        on conflict do nothing
        """,
        [tenant_id, table.name, list(ids)],
    )
