"""Record which roots changed, for the next transform of their tenant: `ops.changes` and `ops.last_changes`."""

from __future__ import annotations

from collections.abc import Iterable

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw.tables import RawTable

ALL_OBJECTS = 0
"""The id that stands for a change of all objects of a kind."""


def mark_changed(connection: Connection, tenant_id: str, root: RawTable, ids: str) -> None:
    """Record changed roots.

    Args:
        connection: in the transaction that changes them and holds their lock.
        ids: a query of one column.
    """
    connection.execute(
        f"""
        with
            changed (id) as ({ids}),
            noted as (
                insert into ops.changes (tenant_id, object, object_id)
                select %(tenant)s, %(object)s, id from changed
                on conflict (tenant_id, object, object_id) do update set transform_id = null
                where changes.transform_id is not null
            )
        insert into ops.last_changes
        select %(tenant)s, %(object)s, now() where exists (select from changed)
        on conflict (tenant_id, object) do update
        set changed_at = greatest(last_changes.changed_at, excluded.changed_at)
        """,
        {"tenant": tenant_id, "object": root.name},
    )


def ids_of(rows: Iterable[tuple[int, ...]]) -> str:
    """A query of one column: the first values of some rows, of which there must be at least one."""
    return "values " + ", ".join(f"({row[0]}::bigint)" for row in rows)
