"""Saved segments as the last transform left them: their members and sales, and how they came and went."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all


class SegmentFigures(Model):
    """A segment with its members, of the mart `segments`."""

    segment_id: int
    name: str
    query: str
    customers: int
    share_of_customers: Amount | None
    net_sales: Amount
    share_of_net_sales: Amount | None
    joined_30d: int = Field(description="Customers who joined in the last thirty days.")
    left_30d: int


class CustomerSegment(Model):
    """A saved segment that a customer is in now."""

    segment_id: int
    name: str
    joined_on: date


class SegmentMonth(Model):
    """How many customers joined and left a segment in a month."""

    month: date
    joined: int
    left: int


def segment_figures(connection: Connection, tenant_id: str) -> list[SegmentFigures]:
    """The segments that the last transform knew, by name."""
    query = f"select {SegmentFigures.columns()} from segments where tenant_id = %(tenant_id)s order by lower(name)"
    return fetch_all(connection, SegmentFigures, query, {"tenant_id": tenant_id})


def segment_months(connection: Connection, tenant_id: str, segment_id: int, months: int = 12) -> list[SegmentMonth]:
    """The latest months in which somebody joined or left, the latest first.

    Args:
        months: how many at most.
    """
    query = """
        select
            date_trunc('month', day::timestamp)::date as month,
            sum(joined)::bigint as joined,
            sum(gone)::bigint as "left"
        from (
            select valid_from as day, 1 as joined, 0 as gone from segment_history
            where tenant_id = %(tenant_id)s and segment_id = %(segment_id)s
            union all
            select valid_to, 0, 1 from segment_history
            where tenant_id = %(tenant_id)s and segment_id = %(segment_id)s and valid_to is not null
        ) changes
        group by 1 order by 1 desc limit %(months)s
        """
    bound = {"tenant_id": tenant_id, "segment_id": segment_id, "months": months}
    return fetch_all(connection, SegmentMonth, query, bound)


def segments_of(connection: Connection, tenant_id: str, customer_id: int) -> list[CustomerSegment]:
    """The saved segments that a customer is in now, by name."""
    query = """
        select members.segment_id, segments.name, members.joined_on
        from segment_members members
        join segments using (tenant_id, segment_id)
        where members.tenant_id = %(tenant_id)s and members.customer_id = %(customer_id)s
        order by lower(segments.name)
        """
    return fetch_all(connection, CustomerSegment, query, {"tenant_id": tenant_id, "customer_id": customer_id})
