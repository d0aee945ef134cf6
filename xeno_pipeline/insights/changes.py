"""What happened on a day besides orders: what was taken back, left, and who came into segments."""

from __future__ import annotations

from datetime import date

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all


class SegmentChange(Model):
    """How a saved segment changed on a day."""

    segment_id: int
    name: str
    joined: int
    left: int


class Changes(Model):
    """What happened on a day."""

    refunded_orders: int
    refunded: Amount
    left_checkouts: int
    segments: list[SegmentChange]


_CHANGES = """
    select
        count(distinct order_id) filter (where returns < 0) as refunded_orders,
        coalesce(sum(returns), 0)::numeric(20, 4) as refunded,
        (
            select coalesce(sum(checkouts - recovered), 0) from checkout_recovery_daily
            where tenant_id = %(tenant_id)s and date_day = %(day)s
        )::bigint as left_checkouts
    from fct_sales where tenant_id = %(tenant_id)s and happened_on = %(day)s
    """

_SEGMENTS = """
    select
        segment_id, segments.name,
        count(*) filter (where valid_from = %(day)s) as joined,
        count(*) filter (where valid_to = %(day)s) as "left"
    from segment_history
    join segments using (tenant_id, segment_id)
    where tenant_id = %(tenant_id)s and (valid_from = %(day)s or valid_to = %(day)s)
    group by segment_id, segments.name order by lower(segments.name)
    """


def changes_of_day(connection: Connection, tenant_id: str, day: date) -> Changes:
    """What happened on a day, in the shop's time zone."""
    bound = {"tenant_id": tenant_id, "day": day}
    segments = fetch_all(connection, SegmentChange, _SEGMENTS, bound)
    return fetch_all(connection, Changes, _CHANGES, bound, segments=segments)[0]
