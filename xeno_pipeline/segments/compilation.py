"""Compiling the saved queries, as the owner: what a transform does before it evaluates them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments.compile import COMPILER_VERSION, compile_query
from xeno_pipeline.segments.errors import SegmentQueryError

_NOT_FOR_ITS_AUTHOR = (
    "Its query asks for what only who may see people may know, and who saved it may not see them: somebody who may has "
    "to save it."
)


def compile_segments(connection: Connection, tenant_ids: Sequence[str]) -> None:
    """Compile the tenants' segments that are new, changed, or compiled by another version, and mark them as stale.

    A query that is not understood, or whose author may not know what it asks for, is a problem of its segment alone.
    """
    waiting = connection.execute(
        """
        select tenant_id, segment_id, query, may_be_personal
        from ops.segments
        where tenant_id = any(%s) and removed_at is null and compiler_version is distinct from %s
        order by tenant_id, segment_id
        for update
        """,
        [list(tenant_ids), COMPILER_VERSION],
    ).fetchall()
    for tenant_id, segment_id, query, may_be_personal in waiting:
        _compile(connection, tenant_id, segment_id, query, may_be_personal=may_be_personal)
        connection.execute(
            "insert into stale.segments (tenant_id, segment_id) values (%s, %s) on conflict do nothing",
            [tenant_id, segment_id],
        )


def _compile(connection: Connection, tenant_id: str, segment_id: int, query: str, *, may_be_personal: bool) -> None:
    values: list[object]
    is_personal = False
    try:
        compiled = compile_query(query)
    except SegmentQueryError as error:
        values = [None, None, None, None, None, f"Its query is not understood, from character {error.position + 1} on."]
    else:
        is_personal = compiled.uses_personal
        if is_personal and not may_be_personal:
            values = [None, None, None, None, None, _NOT_FOR_ITS_AUTHOR]
        else:
            bound = orjson.dumps(compiled.bound).decode()
            values = [compiled.condition, bound, compiled.is_dated, is_personal, compiled.is_shopifys, None]
    connection.execute(
        """
        update ops.segments
        set condition = %s, bound = %s, is_dated = %s, uses_personal = %s, is_shopifys = %s, problem = %s,
            is_personal = coalesce(is_personal, false) or %s, compiler_version = %s
        where (tenant_id, segment_id) = (%s, %s)
        """,
        [*values, is_personal, COMPILER_VERSION, tenant_id, segment_id],
    )
