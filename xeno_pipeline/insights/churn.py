"""Churn: customers by how often they ordered and how long ago."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all
from xeno_pipeline.insights.stores import today_of


class ChurnSegment(Model):
    """Customers of a churn segment."""

    churn_segment: str
    customers: int
    churn_risk_customers: int = Field(description="Those without an order for 90 days.")
    high_value_customers: int
    orders: int
    net_sales: Amount
    value_at_stake: Amount | None = Field(
        description="Net sales expected of them within a year, each times the probability that no order comes within "
        "90 days; null where predictions are not reliable."
    )


class Churn(Model):
    """A store's customers with an order, by churn segment."""

    as_of_date: date
    customers: int
    churn_risk_customers: int
    segments: list[ChurnSegment] = Field(description="Those with customers.")
    value_withheld_because: str | None = Field(
        description="Why there is no value at stake; null where there is one, and before predictions are first made."
    )


def churn(connection: Connection, tenant_id: str) -> Churn:
    """Customers with an order by churn segment, of the mart `dim_customers`.

    Raises:
        NotModelledError: the store has no marts yet.
    """
    today = today_of(connection, tenant_id)
    segments = fetch_all(
        connection,
        ChurnSegment,
        """
        select
            churn_segment,
            count(*) as customers,
            count(*) filter (where is_churn_risk) as churn_risk_customers,
            count(*) filter (where is_high_value) as high_value_customers,
            sum(orders_count)::bigint as orders,
            sum(net_sales)::numeric(20, 4) as net_sales,
            sum(expected_net_sales_365d * (1 - probability_order_90d)::numeric)::numeric(20, 4) as value_at_stake
        from dim_customers
        where tenant_id = %(tenant_id)s and orders_count > 0
        group by churn_segment order by churn_segment
        """,
        {"tenant_id": tenant_id},
    )
    verdict = connection.execute(
        """
        select unreliable_because from prediction_quality
        where tenant_id = %(tenant_id)s order by origin_on desc limit 1
        """,
        {"tenant_id": tenant_id},
    ).fetchone()
    is_withheld = all(segment.value_at_stake is None for segment in segments)
    return Churn(
        as_of_date=today,
        customers=sum(segment.customers for segment in segments),
        churn_risk_customers=sum(segment.churn_risk_customers for segment in segments),
        segments=segments,
        value_withheld_because=verdict[0] if verdict and is_withheld else None,
    )
