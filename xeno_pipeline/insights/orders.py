"""Orders: lists of them, and one with its lines and its ledger."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Measures, Model, as_answers, fetch_all
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Where, read_page
from xeno_pipeline.insights.periods import check_days

CANCELLED = "CANCELLED"
"""The status that asks for cancelled orders; every other is Shopify's financial status."""


class Order(Measures):
    """An order; its sales measures are those to date, edits and refunds included."""

    order_id: int
    order_name: str | None
    customer_id: int | None = Field(description="Null for a guest.")
    ordered_at: datetime
    ordered_on: date
    currency: str | None
    presentment_currency: str | None
    financial_status: str | None
    fulfillment_status: str | None
    cancelled_at: datetime | None
    is_counted: bool = Field(description="Whether it counts as an order: it is not cancelled.")
    customer_order_number: int | None
    is_first_order: bool
    source_name: str | None
    country_code: str | None
    tags: list[str] | None
    discount_codes: list[str] | None
    line_count: int


class OrderLine(Model):
    """A line item."""

    order_line_id: int
    product_id: int | None
    variant_id: int | None
    sku: str | None
    title: str | None
    quantity: int | None
    current_quantity: int | None
    unit_price: Amount | None
    gross_sales: Amount
    discounts: Amount


class OrderSale(Measures):
    """An entry of the order's ledger."""

    sale_id: str
    order_line_id: int | None
    happened_at: datetime
    happened_on: date
    reason: str | None
    action_type: str | None
    line_type: str | None
    quantity: int | None


class OrderDetail(Order):
    """An order with what it is made of."""

    lines: list[OrderLine]
    sales: list[OrderSale] = Field(description="Everything that was sold and taken back, in the order of time.")


OrderSort = Literal["ordered_on", "-ordered_on"]

ORDERS = Listing(
    name="orders",
    source="fct_orders",
    columns=tuple(Order.model_fields),
    key="order_id",
    key_type="bigint",
    sorts={"ordered_on": "date"},
    default="-ordered_on",
)


def list_orders(
    connection: Connection,
    tenant_id: str,
    *,
    first: date | None = None,
    last: date | None = None,
    status: str | None = None,
    customer_id: int | None = None,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Order]:
    """Orders, a page at a time, the latest first.

    Args:
        first: the first day of those that were ordered then; None for the first there is.
        last: the last day.
        status: Shopify's financial status such as PAID, or CANCELLED.

    Raises:
        UnusablePeriodError: the days are no period.
        UnknownSortError, UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    check_days(first, last)
    where = Where()
    where.add_if_given("ordered_on >= %(first)s", first=first)
    where.add_if_given("ordered_on <= %(last)s", last=last)
    where.add_if_given("customer_id = %(customer_id)s", customer_id=customer_id)
    if status == CANCELLED:
        where.add("cancelled_at is not null")
    else:
        where.add_if_given("financial_status = %(status)s", status=status)
    return read_page(connection, ORDERS, tenant_id, as_answers(Order), where, sort=sort, cursor=cursor, limit=limit)


def get_order(connection: Connection, tenant_id: str, order_id: int) -> OrderDetail | None:
    """An order with its lines and ledger; None where the store has none of that id."""
    bound = {"tenant_id": tenant_id, "id": order_id}
    of_order = "where tenant_id = %(tenant_id)s and order_id = %(id)s"
    found = fetch_all(connection, Order, f"select {Order.columns()} from fct_orders {of_order}", bound)
    if not found:
        return None
    lines = fetch_all(
        connection,
        OrderLine,
        f"select {OrderLine.columns()} from fct_order_lines {of_order} order by order_line_id",
        bound,
    )
    sales = fetch_all(
        connection,
        OrderSale,
        f"select {OrderSale.columns()} from fct_sales {of_order} order by happened_at, sale_id",
        bound,
    )
    return OrderDetail(**dict(found[0]), lines=lines, sales=sales)
