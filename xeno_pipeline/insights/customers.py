"""Customers: lists of them, one of them, and the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.model import Amount, Measures, Model, fetch_all
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Row, Where, read_page, usable_text
from xeno_pipeline.segments.members import check_members_shown

_MAX_SEARCH = 100


class UnusableSearchError(UsageError):
    """A text that cannot be searched for."""


class Customer(Measures):
    """A customer; sales measures are those of a lifetime."""

    customer_id: int
    email: str | None = Field(description="Null without the scope `people`, as are phone and names.")
    phone: str | None
    first_name: str | None
    last_name: str | None
    country_code: str | None
    created_at: datetime | None
    first_order_at: datetime | None
    last_order_at: datetime | None
    first_order_on: date | None
    last_order_on: date | None
    cohort_month: date | None
    orders_count: int
    average_order_value: Amount | None
    days_since_last_order: int | None
    average_days_between_orders: Amount | None
    is_high_value: bool
    is_churn_risk: bool
    churn_segment: str | None
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None
    rfm_segment: str | None
    shopify_rfm_group: str | None
    probability_alive: float | None = Field(description="Null, as are all predictions, where it is not reliable.")
    probability_order_90d: float | None
    expected_orders_90d: float | None
    expected_orders_365d: float | None
    expected_order_value: Amount | None
    expected_net_sales_90d: Amount | None
    expected_net_sales_365d: Amount | None


class TopCustomer(Model):
    """One of the hundred best customers by net sales of a lifetime."""

    rank: int
    customer_id: int
    email: str | None = Field(description="Null without the scope `people`.")
    orders_count: int
    net_sales: Amount
    last_order_on: date | None


CustomerSort = Literal[
    "customer_id",
    "-customer_id",
    "net_sales",
    "-net_sales",
    "orders_count",
    "-orders_count",
    "last_order_at",
    "-last_order_at",
    "first_order_at",
    "-first_order_at",
    "created_at",
    "-created_at",
]

# Sorted through the mart, whose columns are withheld from some, a page would read every customer.
CUSTOMERS = Listing(
    name="customers",
    source="intermediate.int_customers",
    key="customer_id",
    key_type="bigint",
    sorts={
        "customer_id": "bigint",
        "net_sales": "numeric",
        "orders_count": "bigint",
        "last_order_at": "timestamptz",
        "first_order_at": "timestamptz",
        "created_at": "timestamptz",
    },
    default="-net_sales",
)

_IS_AMONG = """
    customer_id in (
        select customer_id from {mart} others where others.tenant_id = %(tenant_id)s and {column} = %({column})s
    )
    """


def list_customers(
    connection: Connection,
    tenant_id: str,
    *,
    search: str | None = None,
    segment: int | None = None,
    rfm_segment: str | None = None,
    churn_segment: str | None = None,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Customer]:
    """Customers, a page at a time.

    Args:
        search: part of an address, a name or a phone number, in any case; it finds only who the session may see.
        segment: the id of a saved segment, whose members these are.

    Raises:
        MembersWithheldError: see `check_members_shown`.
        UnusableSearchError: the search is too long, or has characters that no text has.
        UnknownSortError, UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    if segment is not None:
        check_members_shown(connection, tenant_id, segment)
    where, listing = Where(), CUSTOMERS
    if search is None and churn_segment is None:
        where.add("has_profile")
        where.add_if_given(_IS_AMONG.format(mart="rfm_scores", column="rfm_segment"), rfm_segment=rfm_segment)
    else:  # what only the mart knows of each customer
        listing = replace(CUSTOMERS, source="dim_customers")
        where.add_if_given("rfm_segment = %(rfm_segment)s", rfm_segment=rfm_segment)
        where.add_if_given("churn_segment = %(churn_segment)s", churn_segment=churn_segment)
        if search is not None:
            matches = "concat_ws(' ', email, first_name, last_name, phone) ilike %(pattern)s"
            where.add(matches, pattern=_pattern(search))
    where.add_if_given(_IS_AMONG.format(mart="segment_members", column="segment_id"), segment_id=segment)

    def make(rows: list[Row]) -> list[Customer]:
        return customers_of(connection, tenant_id, [row["customer_id"] for row in rows])

    return read_page(connection, listing, tenant_id, make, where, sort=sort, cursor=cursor, limit=limit)


def get_customer(connection: Connection, tenant_id: str, customer_id: int) -> Customer | None:
    """A customer; None where the store has none of that id."""
    found = customers_of(connection, tenant_id, [customer_id])
    return found[0] if found else None


def top_customers(connection: Connection, tenant_id: str, limit: int = 10) -> list[TopCustomer]:
    """The best customers, of the mart `top_customers`: a hundred at most."""
    query = f"""
        select {TopCustomer.columns()} from top_customers
        where tenant_id = %(tenant_id)s and rank <= %(limit)s order by rank
        """
    return fetch_all(connection, TopCustomer, query, {"tenant_id": tenant_id, "limit": limit})


def customers_of(connection: Connection, tenant_id: str, customer_ids: Sequence[int]) -> list[Customer]:
    """The customers of those ids, in that order, with as much of them as the session sees."""
    query = f"""
        select {Customer.columns()} from dim_customers where tenant_id = %(tenant_id)s and customer_id = any(%(ids)s)
        """
    found = fetch_all(connection, Customer, query, {"tenant_id": tenant_id, "ids": list(customer_ids)})
    customers = {customer.customer_id: customer for customer in found}
    return [customers[number] for number in customer_ids if number in customers]


def _pattern(search: str) -> str:
    """What ILIKE finds a text by, wherever it stands."""
    try:
        text = usable_text(search.strip())
    except ValueError:
        raise UnusableSearchError("The search has characters that no text has: leave them out.") from None
    if not 1 <= len(text) <= _MAX_SEARCH:
        raise UnusableSearchError(f"The search has {len(text)} characters: give 1 to {_MAX_SEARCH}.")
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
