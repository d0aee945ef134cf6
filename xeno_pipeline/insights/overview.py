"""A store at a glance: the figures of a period beside those of the equal span before."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.figures import Figures, figures_of
from xeno_pipeline.insights.model import Amount, Model, Span, fetch_one, growth
from xeno_pipeline.insights.periods import Period, period_between
from xeno_pipeline.insights.stores import today_of


class Growth(Model):
    """By what fraction the figures are above those before; null where those are not above zero."""

    orders: Amount | None
    customers: Amount | None
    net_sales: Amount | None
    total_sales: Amount | None
    average_order_value: Amount | None


class AllTime(Model):
    """The figures of all time, and the customers as they are today; those of the mart `tenant_overview`."""

    customers: int = Field(description="Customers with an order.")
    orders: int
    net_sales: Amount
    average_order_value: Amount | None
    high_value_customers: int
    churn_risk_customers: int
    rfm_is_meaningful: bool = Field(
        description="Whether there are enough different customers for RFM to say something."
    )


class Overview(Model):
    """A store at a glance."""

    as_of_date: date = Field(description="The shop's day that the marts call today.")
    period: Span
    previous_period: Span = Field(description="As many days, up to the day before.")
    current: Figures
    previous: Figures
    growth: Growth
    all_time: AllTime


def overview(connection: Connection, tenant_id: str, first: date | None = None, last: date | None = None) -> Overview:
    """A store at a glance.

    Args:
        first: the first day; None for thirty days up to the last.
        last: the last day; None for today.

    Raises:
        NotModelledError: the store has no marts yet.
        UnusablePeriodError: the days are no period.
    """
    today = today_of(connection, tenant_id)
    period = period_between(first, last, today)
    before = period.before()
    current, previous = (figures_of(connection, tenant_id, each) for each in (period, before))
    return Overview(
        as_of_date=today,
        period=_span(period),
        previous_period=_span(before),
        current=current,
        previous=previous,
        growth=Growth(
            **{name: growth(getattr(current, name), getattr(previous, name)) for name in Growth.model_fields}
        ),
        all_time=_all_time(connection, tenant_id),
    )


def _all_time(connection: Connection, tenant_id: str) -> AllTime:
    query = f"select {AllTime.columns()} from tenant_overview where tenant_id = %(tenant_id)s"
    found = fetch_one(connection, AllTime, query, {"tenant_id": tenant_id})
    assert found is not None  # a store with marts has its row
    return found


def _span(period: Period) -> Span:
    return Span(first=period.first, last=period.last)
