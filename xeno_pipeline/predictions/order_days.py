"""Reading what a tenant's models are fitted on from the marts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.predictions.backtest import HORIZON, Sales
from xeno_pipeline.predictions.fit import YEAR
from xeno_pipeline.predictions.statistics import OrderDays

_EPOCH = date(1970, 1, 1)

_HEADER, _TRAILER = 19, 2
"""Bytes of a binary COPY before and after its rows, without extensions."""

_ROW = np.dtype(
    [
        *(("fields", ">i2"), ("size_of_id", ">i4"), ("customer_id", ">i8")),
        *(("size_of_day", ">i4"), ("day", ">i4"), ("size_of_value", ">i4"), ("value", ">f8")),
    ]
)
"""A row of a binary COPY of bigint, integer and double precision, none of them null."""


def days_since_epoch(day: date) -> int:
    """A day as the models count it."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """The day that so many days since 1970-01-01 are."""
    return _EPOCH + timedelta(days=day)


def read_order_days(connection: Connection, tenant_id: str, before: date) -> OrderDays:
    """The days with a counted order of the tenant's customers before a day; guests are none."""
    query = """
        copy (
            select
                customer_id,
                (ordered_on - date '1970-01-01')::integer,
                coalesce(sum(ordered_sales) filter (where not is_in_other_currency), 'NaN')::double precision
            from marts.fct_orders
            where tenant_id = %s and is_counted and customer_id is not null and ordered_on < %s
            group by customer_id, ordered_on
            order by customer_id, ordered_on
        ) to stdout (format binary)
        """
    content = bytearray()
    with connection.cursor() as cursor, cursor.copy(query, [tenant_id, before]) as copy:
        for block in copy:
            content += block
    rows: Any = np.frombuffer(content, _ROW, (len(content) - _HEADER - _TRAILER) // _ROW.itemsize, _HEADER)
    return OrderDays(
        rows["customer_id"].astype(np.int64), rows["day"].astype(np.int32), rows["value"].astype(np.float64)
    )


def read_sales(connection: Connection, tenant_id: str, origins: Sequence[int]) -> Mapping[int, Sales]:
    """Net sales around each of these days, the origins of backtests."""
    rows = connection.execute(
        """
        with
            origins as (
                select origin, date '1970-01-01' + origin as origin_on from unnest(%(origins)s::integer[]) origin
            ),
            kept as (
                select origin, sum(net_sales) / nullif(sum(ordered_sales), 0) as share
                from origins
                join intermediate.int_daily_sales days on date_day >= origin_on - %(year)s and date_day < origin_on
                where tenant_id = %(tenant_id)s
                group by origin
            ),
            -- Day by day first: each sale is read once, however many backtests it is part of.
            daily as (
                select sales.happened_on, customers.first_order_on, sum(sales.net_sales) as net_sales
                from marts.fct_sales sales
                join intermediate.int_customers customers using (tenant_id, customer_id)
                where tenant_id = %(tenant_id)s
                and sales.happened_on >= (select min(origin_on) from origins)
                and sales.happened_on < (select max(origin_on) from origins)
                group by sales.happened_on, customers.first_order_on
            ),
            actual as (
                select origin, sum(net_sales) as net_sales
                from origins
                join daily
                    on happened_on >= origin_on and happened_on < origin_on + %(horizon)s and first_order_on < origin_on
                group by origin
            )
        select origin, kept.share::float8, coalesce(actual.net_sales, 0)::float8
        from origins
        left join kept using (origin)
        left join actual using (origin)
        """,
        {"tenant_id": tenant_id, "origins": list(origins), "year": YEAR, "horizon": HORIZON},
    ).fetchall()
    return {origin: Sales(share, actual) for origin, share, actual in rows}
