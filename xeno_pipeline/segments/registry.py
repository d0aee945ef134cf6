"""The saved segments of tenants: `ops.segments`.

Works as the owner, and as the login xeno_serving with the scope `segments`, which may write a name, a description and a
query, and nothing that is made of them: what a query is compiled to is written by a transform (`compilation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.errors import SegmentError
from xeno_pipeline.segments.starters import STARTERS

MOST_SEGMENTS = 100
"""How many segments a tenant may have: each is evaluated for all customers on each new day."""

_LONGEST_NAME, _LONGEST_DESCRIPTION = 100, 1000
_COLUMNS = "tenant_id, segment_id, name, description, query, created_at, changed_at, problem, is_personal"


@dataclass(frozen=True)
class Segment:
    """A saved segment.

    Args:
        query: its canonical text.
        changed_at: when its name, description or query last changed.
        problem: why its members could not be determined in the last transform; None where they could.
        is_personal: whether its query, or an earlier one, asks for what only who may see people may know; None until
            the first transform.
    """

    tenant_id: str
    segment_id: int
    name: str
    description: str
    query: str
    created_at: datetime
    changed_at: datetime
    problem: str | None
    is_personal: bool | None


def list_segments(connection: Connection, tenant_id: str) -> list[Segment]:
    """The segments of a tenant, by name."""
    with connection.cursor(row_factory=class_row(Segment)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from ops.segments where tenant_id = %s and removed_at is null order by lower(name)",
            [tenant_id],
        ).fetchall()


def get_segment(connection: Connection, tenant_id: str, segment_id: int) -> Segment:
    """One segment.

    Raises:
        SegmentError: there is none.
    """
    with connection.cursor(row_factory=class_row(Segment)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from ops.segments where (tenant_id, segment_id) = (%s, %s) and removed_at is null",
            [tenant_id, segment_id],
        ).fetchone()
    if found is None:
        raise _unknown(tenant_id, str(segment_id))
    return found


def find_segment(connection: Connection, tenant_id: str, name_or_id: str) -> Segment:
    """The segment of that name, whatever the case of its letters, or else of that number.

    Raises:
        SegmentError: there is none.
    """
    for segment in list_segments(connection, tenant_id):
        if segment.name.lower() == name_or_id.lower():
            return segment
    if name_or_id.isascii() and name_or_id.isdecimal() and len(name_or_id) < 19:
        return get_segment(connection, tenant_id, int(name_or_id))
    raise _unknown(tenant_id, name_or_id)


def changed_segments(connection: Connection) -> dict[str, datetime]:
    """The active tenants with marts that lack a change of their segments which no transform takes in yet.

    Returns:
        By tenant, when a segment was last changed.
    """
    rows = connection.execute(
        """
        select changes.tenant_id, max(segments.changed_at)
        from ops.changes
        join ops.tenants on tenants.tenant_id = changes.tenant_id and tenants.status = 'active'
        join ops.tenant_marts on tenant_marts.tenant_id = changes.tenant_id
        join ops.segments on segments.tenant_id = changes.tenant_id and segments.segment_id = changes.object_id
        where changes.object = 'segments'
        and not exists (select from ops.transforms where transforms.transform_id = changes.transform_id)
        group by changes.tenant_id
        order by changes.tenant_id
        """
    ).fetchall()
    return dict(rows)


def save_segment(connection: Connection, tenant_id: str, name: str, query: str, description: str = "") -> Segment:
    """Save a new segment. It makes a transform of the tenant due, which determines its members.

    Raises:
        SegmentQueryError: the query is not in the language, or asks for what is not served.
        SegmentError: the name is taken or unusable, or there are too many segments.
    """
    if len(list_segments(connection, tenant_id)) >= MOST_SEGMENTS:
        raise SegmentError(f"{tenant_id} has {MOST_SEGMENTS} segments, and may have no more: remove one first.")
    values = [tenant_id, _checked_name(name), _checked_description(description), compile_query(query).query]
    with (
        _unique_name(tenant_id, name),
        connection.transaction(),
        connection.cursor(row_factory=class_row(Segment)) as c,
    ):
        saved = c.execute(
            "insert into ops.segments (tenant_id, name, description, query) values (%s, %s, %s, %s) "
            f"returning {_COLUMNS}",
            values,
        ).fetchone()
    assert saved is not None
    return saved


def update_segment(
    connection: Connection,
    tenant_id: str,
    segment_id: int,
    *,
    name: str | None = None,
    query: str | None = None,
    description: str | None = None,
) -> Segment:
    """Change what is given of a segment.

    Raises:
        SegmentQueryError: the query is not in the language, or asks for what is not served.
        SegmentError: there is no such segment, or the name is taken or unusable.
    """
    before = get_segment(connection, tenant_id, segment_id)
    new_name = before.name if name is None else _checked_name(name)
    new_description = before.description if description is None else _checked_description(description)
    new_query = before.query if query is None else compile_query(query).query
    if (new_name, new_description, new_query) == (before.name, before.description, before.query):
        return before
    with _unique_name(tenant_id, new_name), connection.transaction():
        connection.execute(
            "update ops.segments set name = %s, description = %s, query = %s where (tenant_id, segment_id) = (%s, %s)",
            [new_name, new_description, new_query, tenant_id, segment_id],
        )
    return get_segment(connection, tenant_id, segment_id)


def remove_segment(connection: Connection, tenant_id: str, segment_id: int) -> None:
    """Remove a segment. The next transform ends its memberships; its history stays.

    Raises:
        SegmentError: there is no such segment.
    """
    get_segment(connection, tenant_id, segment_id)
    connection.execute(
        "update ops.segments set removed_at = now() where (tenant_id, segment_id) = (%s, %s) and removed_at is null",
        [tenant_id, segment_id],
    )


def add_starters(connection: Connection, tenant_id: str) -> list[Segment]:
    """Save the segments to begin with, except those whose name the tenant has already.

    Returns:
        Those that are new.

    Raises:
        SegmentError: the tenant would have too many segments.
    """
    taken = {segment.name.lower() for segment in list_segments(connection, tenant_id)}
    return [
        save_segment(connection, tenant_id, starter.name, starter.query, starter.description)
        for starter in STARTERS
        if starter.name.lower() not in taken
    ]


@contextmanager
def _unique_name(tenant_id: str, name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation:
        text = f"{tenant_id} has a segment {name.strip()} already: choose another name, or change that one."
        raise SegmentError(text) from None


def _checked_name(name: str) -> str:
    return _checked_text(name, "name", _LONGEST_NAME, at_least=1)


def _checked_description(description: str) -> str:
    return _checked_text(description, "description", _LONGEST_DESCRIPTION, at_least=0)


def _checked_text(text: str, what: str, longest: int, *, at_least: int) -> str:
    stripped = text.strip()
    if not at_least <= len(stripped) <= longest:
        raise SegmentError(f"A segment's {what} has {at_least} to {longest} characters.")
    if any(not (character.isprintable() or character == "\n") for character in stripped):
        raise SegmentError(f"A segment's {what} has printable characters only.")
    return stripped


def _unknown(tenant_id: str, name: str) -> SegmentError:
    shown = name if name.isprintable() and len(name) <= _LONGEST_NAME else "of that name"
    return SegmentError(f"{tenant_id} has no segment {shown}: `xeno segment list {tenant_id}` shows those that it has.")
