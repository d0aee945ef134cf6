"""The figures of any period: sums of days, and the customers of it, each counted once."""

from __future__ import annotations

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Measures, fetch_all
from xeno_pipeline.insights.periods import Period

MEASURES = tuple(Measures.model_fields)
"""The ten sales measures, in order."""


class Figures(Measures):
    """What happened in a period."""

    orders: int = Field(description="Orders that were not cancelled.")
    customers: int = Field(description="Customers with an order in the period, each counted once.")
    new_customers: int = Field(description="Those whose first order it was.")
    returning_customers: int
    average_order_value: Amount | None = Field(
        description="Gross sales and discounts of the orders as placed, by orders; null without any."
    )


_SUMS = ", ".join(
    f"coalesce(sum({name}), 0)::{'bigint' if name == 'units' else 'numeric(20, 4)'} as {name}" for name in MEASURES
)

_OF_PERIOD = f"""
    with
        days as (
            select
                coalesce(sum(orders), 0)::bigint as orders,
                coalesce(sum(new_customers), 0)::bigint as new_customers,
                {_SUMS},
                (sum(ordered_sales) / nullif(sum(priced_orders), 0))::numeric(20, 4) as average_order_value
            from intermediate.int_daily_sales
            where tenant_id = %(tenant_id)s and date_day between %(first)s and %(last)s
        ),
        buyers as (
            select
                case
                    when exists (
                        select from intermediate.int_daily_sales
                        where tenant_id = %(tenant_id)s and date_day < %(first)s and new_customers > 0
                    )
                    then (
                        select count(*)
                        from (
                            select distinct customer_id
                            from fct_orders
                            where
                                tenant_id = %(tenant_id)s and ordered_on between %(first)s and %(last)s
                                and is_counted and customer_id is not null
                        ) counted
                    )
                    -- Nobody bought before, as in a period of all time: all of its customers are new in it.
                    else (select new_customers from days)
                end as customers
        )
    select days.*, customers, customers - new_customers as returning_customers
    from days, buyers
    """


def figures_of(connection: Connection, tenant_id: str, period: Period) -> Figures:
    """The figures of a period; all zero where nothing happened."""
    bound = {"tenant_id": tenant_id, "first": period.first, "last": period.last}
    return fetch_all(connection, Figures, _OF_PERIOD, bound)[0]
