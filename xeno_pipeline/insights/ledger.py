"""The ledger: everything that was sold and taken back, entry by entry, which all sales figures are sums of."""

from __future__ import annotations

from datetime import date, datetime

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.figures import MEASURES
from xeno_pipeline.insights.model import Measures, fetch_all
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Row, Where, read_page
from xeno_pipeline.insights.periods import Period


class LedgerEntry(Measures):
    """A sale in an agreement: a line that was sold, changed or taken back."""

    sale_id: str
    order_id: int
    order_name: str | None
    product: str | None
    happened_at: datetime
    happened_on: date
    reason: str | None
    action_type: str | None
    line_type: str | None
    quantity: int | None


class LedgerTotals(Measures):
    """What the entries of some days add up to."""

    entries: int
    orders: int


LEDGER = Listing(
    name="ledger",
    source="fct_sales",
    key="sale_id",
    key_type="text",
    sorts={"happened_on": "date", "happened_at": "timestamptz"},
    default="-happened_at",
)

_OF_PERIOD = "tenant_id = %(tenant_id)s and happened_on between %(first)s and %(last)s"

_ENTRIES = f"""
    select
        sales.sale_id, sales.order_id, orders.order_name, lines.title as product, sales.happened_at, sales.happened_on,
        sales.reason, sales.action_type, sales.line_type, sales.quantity,
        {", ".join(f"sales.{name}" for name in MEASURES)}
    from fct_sales sales
    left join fct_orders orders on orders.tenant_id = sales.tenant_id and orders.order_id = sales.order_id
    left join fct_order_lines lines
        on lines.tenant_id = sales.tenant_id and lines.order_line_id = sales.order_line_id
    where sales.tenant_id = %(tenant_id)s and sales.sale_id = any(%(ids)s)
    """

_TOTALS = f"""
    select
        count(*) as entries,
        count(distinct order_id) as orders,
        {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in MEASURES)}
    from fct_sales where {_OF_PERIOD}
    """


def list_ledger(
    connection: Connection,
    tenant_id: str,
    period: Period,
    *,
    only_returns: bool = False,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[LedgerEntry]:
    """The entries of some days, a page at a time, the latest first.

    Args:
        only_returns: only what was taken back or refunded.

    Raises:
        UnknownSortError, UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    where = Where()
    where.add("happened_on between %(first)s and %(last)s", first=period.first, last=period.last)
    if only_returns:
        where.add("returns <> 0")

    def make(rows: list[Row]) -> list[LedgerEntry]:
        ids = [row["sale_id"] for row in rows]
        found = fetch_all(connection, LedgerEntry, _ENTRIES, {"tenant_id": tenant_id, "ids": ids})
        entries = {entry.sale_id: entry for entry in found}
        return [entries[number] for number in ids if number in entries]

    return read_page(connection, LEDGER, tenant_id, make, where, sort=sort, cursor=cursor, limit=limit)


def ledger_totals(connection: Connection, tenant_id: str, period: Period) -> LedgerTotals:
    """What the entries of some days add up to: the same as the figures of these days."""
    bound = {"tenant_id": tenant_id, "first": period.first, "last": period.last}
    return fetch_all(connection, LedgerTotals, _TOTALS, bound)[0]
