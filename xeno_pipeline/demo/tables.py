"""What the demo shows of a tenant's marts, as a person would like to read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.tenants.registry import Tenant

_MONTHS = 12
_BAR_WIDTH = 24

_REVENUE = """
    select period_start, is_partial, orders, new_customers, gross_sales, discounts, returns, net_sales, total_sales
    from marts.revenue_trends
    where tenant_id = %s and grain = 'month'
    order by period_start desc
    limit %s
    """

_SEGMENTS = """
    select rfm_segment, customers, average_recency_days, orders, net_sales, share_of_net_sales, rfm_is_meaningful
    from marts.rfm_segments
    where tenant_id = %s and customers > 0
    order by net_sales desc
    """

_RETENTION = """
    select cohort_month, cohort_size, array_agg(retention_rate order by period_number)
    from marts.cohort_retention
    where tenant_id = %(tenant)s and cohort_month > (
        select max(cohort_month) - make_interval(months => %(months)s)
        from marts.cohort_retention where tenant_id = %(tenant)s
    )
    group by cohort_month, cohort_size
    order by cohort_month
    """


def tenant_summary(connection: Connection, tenant: Tenant) -> RenderableType:
    """A tenant's revenue by month, its RFM segments and its retention triangle."""
    title = f"{tenant.name} · {tenant.currency} · {tenant.iana_timezone}"
    tables = Group(
        _revenue(connection, tenant), Text(), _segments(connection, tenant), Text(), _retention(connection, tenant)
    )
    return Panel(tables, title=f"[bold]{title}", title_align="left", padding=(1, 2), expand=False)


def _revenue(connection: Connection, tenant: Tenant) -> Table:
    table = _table(f"Revenue by month, {tenant.currency}", "month", "orders", "new customers", "gross sales")
    for header in ("discounts", "returns", "net sales", "total sales"):
        table.add_column(header, justify="right")
    table.add_column()  # a bar of the net sales
    rows = connection.execute(_REVENUE, [tenant.tenant_id, _MONTHS]).fetchall()[::-1]
    largest = max((row[7] for row in rows), default=Decimal(0)) or Decimal(1)
    for month, is_partial, orders, new, *amounts in rows:
        numbers = (f"{amount:,.0f}" for amount in amounts)
        bar = "█" * round(_BAR_WIDTH * max(amounts[3], 0) / largest)
        label = _month(month) + (", so far" if is_partial else "")
        table.add_row(label, f"{orders:,}", f"{new:,}", *numbers, Text(bar, style="cyan"))
    return table


def _segments(connection: Connection, tenant: Tenant) -> Table:
    table = _table("Customers by RFM segment", "segment", "customers", "days since last order", "orders each")
    table.add_column(f"net sales, {tenant.currency}", justify="right")
    table.add_column("share", justify="right")
    rows = connection.execute(_SEGMENTS, [tenant.tenant_id]).fetchall()
    if not all(is_meaningful for *_, is_meaningful in rows):
        table.caption = "They are too few, or too much alike, for these segments to say anything."
    for segment, customers, recency, orders, net_sales, share, _ in rows:
        name = segment.replace("_", " ").capitalize()
        numbers = (
            f"{customers:,}",
            f"{recency:,.0f}",
            f"{orders / customers:.1f}",
            f"{net_sales:,.0f}",
            "" if share is None else f"{share:.0%}",
        )
        table.add_row(name, *numbers)
    return table


def _retention(connection: Connection, tenant: Tenant) -> Table:
    """A triangle: of the customers of a month, how many ordered again so many months later."""
    periods = [str(period) for period in range(_MONTHS)]
    table = _table("Share of a month's new customers who ordered, by months since", "cohort", "customers", *periods)
    bound = {"tenant": tenant.tenant_id, "months": _MONTHS}
    for cohort, size, rates in connection.execute(_RETENTION, bound):
        table.add_row(_month(cohort), f"{size:,}", *_shaded(rates[:_MONTHS]))
    return table


def _shaded(rates: list[Decimal]) -> Iterator[Text]:
    """Percentages, the more the brighter."""
    for rate in rates:
        style = "bold green" if rate >= Decimal("0.2") else "green" if rate >= Decimal("0.1") else "dim"
        yield Text(f"{rate:.0%}", style=style)


def _month(month: date) -> str:
    return f"{month:%b %Y}"


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for other in others:
        table.add_column(other, justify="right")
    return table
