"""Sales by day, week, month, quarter or year: the mart `revenue_trends`, cut to the days that are asked for."""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.figures import Figures, figures_of
from xeno_pipeline.insights.model import Amount, Model, Span, fetch_all
from xeno_pipeline.insights.periods import Period, period_between
from xeno_pipeline.insights.stores import today_of

Grain = Literal["day", "week", "month", "quarter", "year"]
GRAINS: tuple[Grain, ...] = get_args(Grain)

_COMPARISONS = ("net_sales_previous", "net_sales_growth", "net_sales_last_year", "net_sales_yoy_growth")


class SalesPeriod(Figures):
    """A day, week, month, quarter or year."""

    period_start: date
    period_end: date
    is_partial: bool = Field(description="Whether the period is running: its growth compares as many days.")
    is_cut: bool = Field(
        description="Whether the days asked for cut it: its figures are then those of its days among them, "
        "and it is compared with nothing."
    )
    net_sales_previous: Amount | None = Field(description="Net sales of the period before.")
    net_sales_growth: Amount | None
    net_sales_last_year: Amount | None = Field(description="Net sales of the same period last year.")
    net_sales_yoy_growth: Amount | None


class Sales(Model):
    """Sales by period."""

    grain: Grain
    period: Span
    data: list[SalesPeriod] = Field(description="Those from the store's first sale to today; without gaps.")


def sales(
    connection: Connection, tenant_id: str, grain: Grain = "day", first: date | None = None, last: date | None = None
) -> Sales:
    """Sales by period; a period that the days cut at the start or at the end has the figures of its days among them.

    Raises:
        NotModelledError: the store has no marts yet.
        UnusablePeriodError: the days are no period.
    """
    period = period_between(first, last, today_of(connection, tenant_id))
    rows = _whole_periods(connection, tenant_id, grain, period)
    known = _days_known(connection, tenant_id)
    for place in {0, len(rows) - 1} if rows else ():
        rows[place] = _cut(connection, tenant_id, rows[place], period, known)
    return Sales(grain=grain, period=Span(first=period.first, last=period.last), data=rows)


def _days_known(connection: Connection, tenant_id: str) -> Period | None:
    """The days that the marts have; None before the first sale."""
    query = "select first_sale_on, last_day from intermediate.int_tenant_figures where tenant_id = %s"
    row = connection.execute(query, [tenant_id]).fetchone()
    return None if row is None or row[0] is None else Period(*row)


def _whole_periods(connection: Connection, tenant_id: str, grain: Grain, period: Period) -> list[SalesPeriod]:
    """The periods of the mart that have a day among those asked for."""
    kept = ", ".join(name for name in SalesPeriod.model_fields if name not in ("period_end", "is_cut"))
    query = f"""
        select * from (
            select
                {kept},
                (
                    period_start::timestamp
                    + case grain when 'quarter' then interval '3 months' else ('1 ' || grain)::interval end
                )::date - 1 as period_end,
                false as is_cut
            from revenue_trends
            where tenant_id = %(tenant_id)s and grain = %(grain)s
        ) periods
        where period_start <= %(last)s and period_end >= %(first)s
        order by period_start
        """
    bound = {"tenant_id": tenant_id, "grain": grain, "first": period.first, "last": period.last}
    return fetch_all(connection, SalesPeriod, query, bound)


def _cut(connection: Connection, tenant_id: str, row: SalesPeriod, asked: Period, known: Period | None) -> SalesPeriod:
    """A period as far as the days asked for reach; the row itself where they leave out none that the marts have."""
    first, last = row.period_start, row.period_end
    if known:
        first, last = max(first, known.first), min(last, known.last)
    if asked.first <= first and last <= asked.last:
        return row
    cut = Period(max(asked.first, row.period_start), min(asked.last, row.period_end))
    compared = dict.fromkeys(_COMPARISONS)
    return row.model_copy(update={**dict(figures_of(connection, tenant_id, cut)), **compared, "is_cut": True})
