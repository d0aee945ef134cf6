"""Saved segments with their figures, who is in them and who was, and what a query would find."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, as_answers, fetch_all, fraction
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Row, Where, read_page
from xeno_pipeline.segments.compile import CompiledQuery
from xeno_pipeline.segments.members import check_members_shown, count_members
from xeno_pipeline.segments.rules import query_to_rules


class SavedSegment(Model):
    """A saved segment. Its figures are those of the last transform, null until there was one since it was saved."""

    segment_id: int
    name: str
    description: str
    query: str = Field(description="In Shopify's segment query language.")
    rules: dict[str, Any] | None = Field(description="The query as React Query Builder's JSON.")
    created_at: datetime
    changed_at: datetime
    problem: str | None = Field(description="Why the last transform could not determine its members.")
    is_personal: bool | None = Field(
        description="Whether its query, or an earlier one, asks about people: members and figures are then shown only "
        "with the scope `people`. Null until the first transform."
    )
    customers: int | None
    share_of_customers: Amount | None
    net_sales: Amount | None = Field(description="Lifetime net sales of its members.")
    share_of_net_sales: Amount | None
    joined_30d: int | None
    left_30d: int | None


class SegmentMember(Model):
    """A customer who is in a segment now."""

    customer_id: int
    joined_on: date
    net_sales_when_joined: Amount | None
    orders_when_joined: int | None
    rfm_segment_when_joined: str | None


class Membership(Model):
    """A period in which a customer was in a segment; sales, orders and RFM segment are those on joining."""

    customer_id: int
    valid_from: date
    valid_to: date | None = Field(description="The day from which not any more; null: still a member.")
    net_sales: Amount | None
    orders_count: int | None
    rfm_segment: str | None


class SegmentPreview(Model):
    """What a query finds now."""

    query: str = Field(description="The query in its canonical form.")
    rules: dict[str, Any]
    customers: int
    share_of_customers: Amount | None
    net_sales: Amount
    share_of_net_sales: Amount | None


MEMBERS = Listing(
    name="segment members",
    source="segment_members",
    columns=tuple(SegmentMember.model_fields),
    key="customer_id",
    key_type="bigint",
    sorts={"customer_id": "bigint"},
    default="customer_id",
)

MEMBERSHIPS = Listing(
    name="segment history",
    source="(select *, customer_id || '/' || to_char(valid_from::timestamp, 'YYYY-MM-DD') as key from segment_history)",
    columns=tuple(Membership.model_fields),
    key="key",
    key_type="text",
    sorts={"valid_from": "date"},
    default="-valid_from",
)

_SEGMENTS = """
    select
        saved.segment_id, saved.name, saved.description, saved.query, saved.created_at, saved.changed_at, saved.problem,
        saved.is_personal,
        figures.customers, figures.share_of_customers, figures.net_sales, figures.share_of_net_sales,
        figures.joined_30d, figures.left_30d
    from ops.segments saved
    left join segments figures on figures.tenant_id = saved.tenant_id and figures.segment_id = saved.segment_id
    where saved.tenant_id = %(tenant_id)s and saved.removed_at is null
    and (%(segment_id)s::bigint is null or saved.segment_id = %(segment_id)s)
    order by lower(saved.name)
    """


def list_saved_segments(connection: Connection, tenant_id: str) -> list[SavedSegment]:
    """The segments of a store, by name; at most a hundred."""
    return _read(connection, tenant_id, None)


def get_saved_segment(connection: Connection, tenant_id: str, segment_id: int) -> SavedSegment | None:
    """A segment; None where the store has none of that id."""
    found = _read(connection, tenant_id, segment_id)
    return found[0] if found else None


def list_members(
    connection: Connection, tenant_id: str, segment_id: int, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[SegmentMember]:
    """Who is in a segment, as of the last transform, a page at a time.

    Raises:
        MembersWithheldError: see `check_members_shown`.
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    check_members_shown(connection, tenant_id, segment_id)
    where = Where()
    where.add("segment_id = %(segment_id)s", segment_id=segment_id)
    return read_page(connection, MEMBERS, tenant_id, as_answers(SegmentMember), where, cursor=cursor, limit=limit)


def list_memberships(
    connection: Connection, tenant_id: str, segment_id: int, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Membership]:
    """Who joined a segment and when, and who left it, a page at a time, the latest first.

    Raises:
        MembersWithheldError: see `check_members_shown`.
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    check_members_shown(connection, tenant_id, segment_id)
    where = Where()
    where.add("segment_id = %(segment_id)s", segment_id=segment_id)
    return read_page(connection, MEMBERSHIPS, tenant_id, _memberships, where, cursor=cursor, limit=limit)


def preview(connection: Connection, tenant_id: str, query: CompiledQuery) -> SegmentPreview:
    """What a query finds now."""
    found = count_members(connection, tenant_id, query)
    return SegmentPreview(
        query=query.query,
        rules=query_to_rules(query.query),
        customers=found.customers,
        share_of_customers=fraction(found.customers, found.all_customers),
        net_sales=found.net_sales,
        share_of_net_sales=fraction(found.net_sales, found.all_net_sales),
    )


def _read(connection: Connection, tenant_id: str, segment_id: int | None) -> list[SavedSegment]:
    bound = {"tenant_id": tenant_id, "segment_id": segment_id}
    found = fetch_all(connection, SavedSegment, _SEGMENTS, bound, rules=None)
    return [segment.model_copy(update={"rules": query_to_rules(segment.query)}) for segment in found]


def _memberships(rows: list[Row]) -> list[Membership]:
    return [Membership.model_validate({name: row[name] for name in Membership.model_fields}) for row in rows]
