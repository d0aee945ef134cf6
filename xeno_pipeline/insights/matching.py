"""Customers that fit a query of the segments' language, whether it is saved or not."""

from __future__ import annotations

from dataclasses import replace

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.customers import CUSTOMERS, Customer, customers_of
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page, Row, Where, read_page
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.members import bind_matching, select_matching

_LISTING = replace(CUSTOMERS, name="matching")


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
    where.add(f"customer_id in ({select_matching(compiled)})", **bind_matching(tenant_id, compiled))

    def make(rows: list[Row]) -> list[Customer]:
        return customers_of(connection, tenant_id, [row["customer_id"] for row in rows])

    return read_page(connection, _LISTING, tenant_id, make, where, sort=sort, cursor=cursor, limit=limit)
