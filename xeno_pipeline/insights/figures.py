"""The figures of any period: sums of days, and the customers of it, each counted once."""

from __future__ import annotations

from psycopg.rows import dict_row
from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Measures
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

MANY_ORDERS = 50_000
"""So many rows of orders are read in a moment; of more, it is sought to read fewer."""

_NEAR = 31
"""Days from the store's first or last day within which few of its customers ordered before and after a period."""

_COUNTED = """
    (
        select count(*)
        from (
            select distinct customer_id
            from fct_orders
            where
                tenant_id = %(tenant_id)s and ordered_on between %(first)s and %(last)s
                and is_counted and customer_id is not null
        ) counted
    )
    """

# Who ordered first or last in the period ordered in it; of who ordered before and after it, orders tell.
_BY_FIRST_AND_LAST_ORDER = """
    (
        select count(*)
        from intermediate.int_customers
        where
            tenant_id = %(tenant_id)s
            and (
                first_order_on between %(first)s and %(last)s
                or last_order_on between %(first)s and %(last)s
            )
    ) + (
        select count(*)
        from intermediate.int_customers customers
        where
            tenant_id = %(tenant_id)s and first_order_on < %(first)s and last_order_on > %(last)s
            and exists (
                select from fct_orders orders
                where
                    orders.tenant_id = %(tenant_id)s and orders.customer_id = customers.customer_id
                    and ordered_on between %(first)s and %(last)s and is_counted
            )
    )
    """

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
                    when
                        orders > %(many_orders)s
                        and (%(first)s - first_sale_on <= {_NEAR} or last_day - %(last)s <= {_NEAR})
                    then {_BY_FIRST_AND_LAST_ORDER}
                    else {_COUNTED}
                end as customers
            from days
            left join intermediate.int_tenant_figures on tenant_id = %(tenant_id)s
        )
    select days.*, customers, customers - new_customers as returning_customers
    from days, buyers
    """


def figures_of(connection: Connection, tenant_id: str, period: Period) -> Figures:
    """The figures of a period; all zero where nothing happened."""
    bound = {"tenant_id": tenant_id, "first": period.first, "last": period.last, "many_orders": MANY_ORDERS}
    # Prepared, it would have one plan for periods of any length, which for a long one takes several times as long.
    cursor = connection.cursor(row_factory=dict_row).execute(_OF_PERIOD, bound, prepare=False)
    return Figures.model_validate(cursor.fetchone())
