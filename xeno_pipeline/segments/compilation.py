"""Compiling the saved queries, as the owner: what a transform does before it evaluates them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments.compile import COMPILER_VERSION, compile_query
from xeno_pipeline.segments.errors import SegmentQueryError


def compile_segments(connection: Connection, tenant_ids: Sequence[str]) -> None:
    """Compile the tenants' segments that are new, changed, or compiled by another version, and mark them as stale.

    A query that is not understood is a problem of its segment alone.
    """
    waiting = connection.execute(
        """
        select tenant_id, segment_id, query
        from ops.segments
        where tenant_id = any(%s) and removed_at is null and compiler_version is distinct from %s
        order by tenant_id, segment_id
        for update
        """,
        [list(tenant_ids), COMPILER_VERSION],
    ).fetchall()
    for tenant_id, segment_id, query in waiting:
        _compile(connection, tenant_id, segment_id, query)
        connection.execute(
            "insert into stale.segments (tenant_id, segment_id) values (%s, %s) on conflict do nothing",
            [tenant_id, segment_id],
        )


def _compile(connection: Connection, tenant_id: str, segment_id: int, query: str) -> None:
    values: list[object]
    try:
        compiled = compile_query(query)
    except SegmentQueryError as error:
        values = [None, None, None, None, None, f"Its query is not understood, from character {error.position + 1} on."]
    else:
        bound = orjson.dumps(compiled.bound).decode()
        values = [compiled.condition, bound, compiled.is_dated, compiled.uses_personal, compiled.is_shopifys, None]
    connection.execute(
        """
        update ops.segments
        set condition = %s, bound = %s, is_dated = %s, uses_personal = %s, is_shopifys = %s, problem = %s,
            compiler_version = %s
        where (tenant_id, segment_id) = (%s, %s)
        """,
        [*values, COMPILER_VERSION, tenant_id, segment_id],
    )
