"""What is asked of the marts, to look at: a segment with its members, and a key with lines to ask by."""

from __future__ import annotations

import contextlib

from rich.table import Table

from xeno_pipeline.access.grants import UnknownSubjectError, make_key, revoke
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.cli.terminal import echo, out
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.segments.registry import list_segments, save_segment
from xeno_pipeline.tenants.registry import Tenant

KEY = "demo"
SEGMENT = "Come again, long ago"
_QUERY = "number_of_orders >= 2 AND last_order_date < -60d"
_SHOWN = 5


def save_demo_segment(database: Database, tenant: Tenant) -> None:
    """Save the segment, unless that was done before; the next transform determines its members."""
    with database.connect() as connection:
        if SEGMENT not in {segment.name for segment in list_segments(connection, tenant.tenant_id)}:
            save_segment(connection, tenant.tenant_id, SEGMENT, _QUERY)


def show_insights(url: str, database: Database, tenant: Tenant) -> None:
    """Print the segment, some of its members, and a new key with lines to ask by; an earlier key stops to work.

    Args:
        url: where the API is.
    """
    with database.connect() as connection:
        out.print(_members(connection, tenant))
        secret = _make_key(connection)
    api = f"{url}/api/v1"
    store = f"{api}/stores/{tenant.tenant_id}"
    echo(f"\nexport KEY={secret}")
    for address in (f"{api}/stores", f"{store}/overview", f"{store}/segments"):
        echo(f'curl -H "Authorization: Bearer $KEY" {address}')


def _members(connection: Connection, tenant: Tenant) -> Table:
    bound = {"tenant_id": tenant.tenant_id, "name": SEGMENT, "shown": _SHOWN}
    rows = connection.execute(
        """
        select
            concat_ws(' ', first_name, last_name), customers.orders_count, customers.last_order_on,
            customers.net_sales, segments.customers
        from marts.segments
        left join marts.segment_members members using (tenant_id, segment_id)
        left join marts.dim_customers customers using (tenant_id, customer_id)
        where tenant_id = %(tenant_id)s and segments.name = %(name)s
        order by customers.net_sales desc nulls last limit %(shown)s
        """,
        bound,
    ).fetchall()
    count = rows[0][4] if rows else 0
    echo(f"{tenant.name}: the segment “{SEGMENT}” ({_QUERY}) has {count} members. The best of them:")
    table = Table()
    for column in ("customer", "orders", "last order", f"net sales, {tenant.currency}"):
        table.add_column(column, justify="left" if column == "customer" else "right")
    for name, orders, last, sales, _ in rows:
        if last is not None:
            table.add_row(name, str(orders), str(last), f"{sales:,.2f}")
    return table


def _make_key(connection: Connection) -> str:
    with contextlib.suppress(UnknownSubjectError):  # the first time there is none
        revoke(connection, KEY)
    return make_key(connection, KEY, None, tuple(Scope))
