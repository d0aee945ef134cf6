"""Reading what a tenant's models are fitted on from the marts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from psycopg import sql

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
    shares: dict[int, float | None] = dict(
        connection.execute(
            """
            select origin, (sum(net_sales) / nullif(sum(ordered_sales), 0))::float8
            from unnest(%(origins)s::integer[]) origin
            join intermediate.int_daily_sales
                on date_day >= date '1970-01-01' + origin - %(year)s and date_day < date '1970-01-01' + origin
            where tenant_id = %(tenant_id)s
            group by origin
            """,
            {"tenant_id": tenant_id, "origins": list(origins), "year": YEAR},
        ).fetchall()
    )
    return {
        origin: Sales(shares.get(origin), actual)
        for origin, actual in zip(origins, _read_actual_sales(connection, tenant_id, origins), strict=True)
    }


def _read_actual_sales(connection: Connection, tenant_id: str, origins: Sequence[int]) -> Sequence[float]:
    """Net sales within the horizon of each origin, but before the last one, of the customers known at it.

    Each sale is read once, however many backtests it is part of.
    """
    of_origin = sql.SQL(
        """
        coalesce(sum(sales.net_sales) filter (
            where happened_on >= {origin} and happened_on < {end} and first_order_on < {origin}
        ), 0)::float8
        """
    )
    query = sql.SQL(
        """
        select {figures}
        from marts.fct_sales sales
        join intermediate.int_customers using (tenant_id, customer_id)
        where tenant_id = {tenant_id} and happened_on >= {first} and happened_on < {end}
        """
    ).format(
        figures=sql.SQL(", ").join(
            of_origin.format(origin=date_of(origin), end=date_of(origin + HORIZON)) for origin in origins
        ),
        tenant_id=tenant_id,
        first=date_of(min(origins)),
        end=date_of(max(origins)),
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
