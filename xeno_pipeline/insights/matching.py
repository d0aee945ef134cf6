"""Customers that fit a query of the segments' language, whether it is saved or not."""

from __future__ import annotations

from dataclasses import replace

import orjson

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.customers import CUSTOMERS, Customer, customers_of
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page, Row, Where, read_page
from xeno_pipeline.segments.compile import compile_query

_LISTING = replace(CUSTOMERS, name="matching")

_FITS = """
    customer_id in (
        select c.customer_id
        from dim_customers c
        cross join (
            select %(bound)s::jsonb as bound, (now() at time zone iana_timezone)::date as today
            from dim_tenants where dim_tenants.tenant_id = %(tenant_id)s
        ) q
        where c.tenant_id = %(tenant_id)s and ({condition})
    )
    """


def list_matching(
    connection: Connection,
    tenant_id: str,
    query: str,
    *,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Customer]:
    """The customers that fit a query, as the marts and the day are now, a page at a time.

    Raises:
        SegmentQueryError: the query is not in the language, or asks for what is not served.
        UnknownSortError, UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    compiled = compile_query(query)
    where = Where()
    where.add(_FITS.format(condition=compiled.condition), bound=orjson.dumps(compiled.bound).decode())

    def make(rows: list[Row]) -> list[Customer]:
        return customers_of(connection, tenant_id, [row["customer_id"] for row in rows])

    return read_page(connection, _LISTING, tenant_id, make, where, sort=sort, cursor=cursor, limit=limit)
