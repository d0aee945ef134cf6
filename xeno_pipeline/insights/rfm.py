"""RFM: the eleven segments, the grid of scores, and who moved from one segment to another."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all
from xeno_pipeline.insights.periods import check_days
from xeno_pipeline.insights.stores import today_of


class RfmSegment(Model):
    """One of the eleven segments."""

    rfm_segment: str
    customers: int
    share_of_customers: Amount | None
    orders: int
    net_sales: Amount
    share_of_net_sales: Amount | None
    average_order_value: Amount | None
    average_recency_days: Amount | None


class RfmCell(Model):
    """Customers of a recency and a frequency score."""

    recency_score: int
    frequency_score: int
    customers: int
    net_sales: Amount


class Rfm(Model):
    """A store's customers by RFM."""

    as_of_date: date
    is_meaningful: bool = Field(description="Whether there are enough different customers for RFM to say something.")
    segments: list[RfmSegment]
    cells: list[RfmCell] = Field(description="Only those with customers.")


class RfmMigration(Model):
    """Customers who moved from one segment to another in a month."""

    month: date
    from_segment: str
    to_segment: str
    customers: int


def rfm(connection: Connection, tenant_id: str) -> Rfm:
    """A store's customers by RFM, of the marts `rfm_segments` and `rfm_scores`.

    Raises:
        NotModelledError: the store has no marts yet.
    """
    today = today_of(connection, tenant_id)
    bound = {"tenant_id": tenant_id}
    segments = fetch_all(
        connection,
        RfmSegment,
        f"select {RfmSegment.columns()} from rfm_segments where tenant_id = %(tenant_id)s "
        "order by net_sales desc, rfm_segment",
        bound,
    )
    cells = fetch_all(
        connection,
        RfmCell,
        """
        select recency_score, frequency_score, count(*) as customers, sum(monetary)::numeric(20, 4) as net_sales
        from rfm_scores where tenant_id = %(tenant_id)s group by 1, 2 order by 1, 2
        """,
        bound,
    )
    query = "select rfm_is_meaningful from intermediate.int_tenant_figures where tenant_id = %(tenant_id)s"
    found = connection.execute(query, bound).fetchone()
    return Rfm(as_of_date=today, is_meaningful=bool(found and found[0]), segments=segments, cells=cells)


def rfm_migrations(
    connection: Connection, tenant_id: str, first: date | None = None, last: date | None = None
) -> list[RfmMigration]:
    """Who moved, month by month.

    Args:
        first: a day in the first month; None for the first there is.
        last: a day in the last month.
    """
    check_days(first, last)
    query = f"""
        select {RfmMigration.columns()} from rfm_migrations
        where tenant_id = %(tenant_id)s
        and (%(first)s::date is null or month >= date_trunc('month', %(first)s::date::timestamp)::date)
        and (%(last)s::date is null or month <= %(last)s::date)
        order by month, from_segment, to_segment
        """
    return fetch_all(connection, RfmMigration, query, {"tenant_id": tenant_id, "first": first, "last": last})
