"""Lists by pages: every row once and in order, whatever they are sorted by; cursors that are none of theirs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.carts import CARTS, list_carts
from xeno_pipeline.insights.checkouts import CHECKOUTS, list_checkouts
from xeno_pipeline.insights.customers import CUSTOMERS, UnusableSearchError, get_customer, list_customers
from xeno_pipeline.insights.orders import ORDERS, get_order, list_orders
from xeno_pipeline.insights.paging import Listing, Page, UnusableCursorError, UnusableLimitError
from xeno_pipeline.insights.products import PRODUCTS, list_products
from xeno_pipeline.insights.timeline import EVENTS, timeline

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

Read = Callable[..., Page[Any]]

LISTS: list[tuple[Listing, Read]] = [
    (CUSTOMERS, list_customers),
    (ORDERS, list_orders),
    (PRODUCTS, list_products),
    (CHECKOUTS, list_checkouts),
    (CARTS, list_carts),
]

TAKE_SORT = (list_customers, list_orders, list_products)

SORTED = [
    (listing, read, sort)
    for listing, read in LISTS
    for sort in (listing.sort_names() if read in TAKE_SORT else [listing.default])
]


def walk(read: Read, connection: Connection, **how: Any) -> list[Any]:
    """Every row of a list, page by page."""
    page = read(connection, "depot", **how)
    rows = list(page.data)
    while page.next:
        page = read(connection, "depot", cursor=page.next, **how)
        assert page.data
        rows += page.data
    return rows


@pytest.fixture(scope="module", autouse=True)
def _carts(marts: Warehouse) -> None:
    """Carts come by webhook: the sandbox's stores have none here."""
    marts.execute(
        """
        insert into intermediate.int_carts
            (tenant_id, cart_number, cart_id, first_seen_at, updated_at, line_count, units, value, is_in_other_currency)
        select
            'depot', n, 'cart ' || n, now(), case when mod(n, 4) > 0 then now() - mod(n, 7) * interval '1 hour' end,
            mod(n, 3), 1, 1.5, false
        from generate_series(1, 60) n
        """
    )


@pytest.mark.parametrize(("listing", "read", "sort"), SORTED, ids=[f"{each[0].name} {each[2]}" for each in SORTED])
def test_the_pages_have_every_row_once_and_in_order(
    connection: Connection, listing: Listing, read: Read, sort: str
) -> None:
    rows = walk(read, connection, limit=37, **({"sort": sort} if read in TAKE_SORT else {}))
    column, is_descending = sort.removeprefix("-"), sort.startswith("-")
    nulls = "nulls last" if is_descending else "nulls first"
    way = "desc" if is_descending else "asc"
    mart = {"customers": "dim_customers", "checkouts": "abandoned_checkouts"}.get(listing.name, listing.source)
    query = f"""
        select {listing.key} from {mart} where tenant_id = 'depot'
        order by {column} {way} {nulls}, {listing.key} {way}
        """
    assert [getattr(row, listing.key) for row in rows] == [key for (key,) in connection.execute(query)]
    assert len(rows) > 37


def test_there_are_customers_without_orders(connection: Connection) -> None:
    (count,) = connection.execute(
        "select count(*) from dim_customers where tenant_id = 'depot' and last_order_at is null"
    ).fetchall()
    assert count[0] > 37, "the walk does not reach into those without a value"


def test_filters(connection: Connection) -> None:
    query = """
        select * from dim_customers
        where tenant_id = 'depot' and rfm_segment is not null and email is not null and last_name is not null limit 1
        """
    some = connection.execute(query).fetchone()
    assert some is not None
    customer = get_customer(connection, "depot", some[1])
    assert customer is not None
    assert customer.email
    alike = walk(list_customers, connection, rfm_segment=customer.rfm_segment, limit=100)
    assert customer in alike
    assert {each.rfm_segment for each in alike} == {customer.rfm_segment}
    for search in (customer.email, customer.email[1:9].upper(), customer.last_name):
        assert customer in walk(list_customers, connection, search=search, limit=500)
    for search in ("%", "_", "\\"):
        assert list_customers(connection, "depot", search=search).data == []
    orders = walk(list_orders, connection, customer_id=customer.customer_id, limit=2)
    assert {order.customer_id for order in orders} == {customer.customer_id}
    assert sum(order.is_counted for order in orders) == customer.orders_count
    cancelled = walk(list_orders, connection, status="CANCELLED", limit=100)
    assert all(order.cancelled_at for order in cancelled)
    days = sorted(order.ordered_on for order in orders)
    between = walk(list_orders, connection, first=days[0], last=days[-1], customer_id=customer.customer_id)
    assert between == orders


def test_an_order_with_its_ledger(connection: Connection) -> None:
    for order in list_orders(connection, "depot", limit=20).data:
        detail = get_order(connection, "depot", order.order_id)
        assert detail is not None
        assert sum(sale.net_sales for sale in detail.sales) == order.net_sales
        assert len(detail.lines) == order.line_count
        assert get_order(connection, "shelf", order.order_id) is None


def test_a_timeline(connection: Connection) -> None:
    (customer,) = list_customers(connection, "depot", sort="-orders_count", limit=1).data
    whole = walk(partial(timeline, customer_id=customer.customer_id), connection, limit=500)
    assert walk(partial(timeline, customer_id=customer.customer_id), connection, limit=2) == whole
    assert sum(event.event_type == "order" for event in whole) >= customer.orders_count
    assert whole == sorted(whole, key=lambda event: (event.occurred_at, event.event_id), reverse=True)


def encoded(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


CURSORS = [
    "",
    "!",
    "é",
    "\0",
    "\ud800",
    "AAAA",
    "W10",
    "x" * 100_000,
    encoded("orders", "-net_sales", "1", "2"),
    encoded("customers", "net_sales", "1", "2"),
    encoded("customers", "-net_sales", "1", None),
    encoded("customers", "-net_sales", "1", 2),
    encoded("customers", "-net_sales", "NaN", "2"),
    encoded("customers", "-net_sales", "1e999999", "2"),
    encoded("customers", "-net_sales", "1", "9" * 40),
    encoded("customers", "-net_sales", "1", "2", "3"),
    encoded("customers", "-net_sales", {"a": 1}, "2"),
    encoded(["customers"], "-net_sales", "1", "2"),
]


@pytest.mark.parametrize("cursor", CURSORS, ids=range(len(CURSORS)))
def test_a_cursor_that_is_none_of_the_list(connection: Connection, cursor: str) -> None:
    with pytest.raises(UnusableCursorError, match="take `next` of the page before"):
        list_customers(connection, "depot", cursor=cursor)


@pytest.mark.parametrize("value", ["12026-01-01T00:00:00+00:00", "2026-01-01T00:00:00", "yesterday", "\0"])
def test_a_cursor_with_an_instant_that_is_none(connection: Connection, value: str) -> None:
    with pytest.raises(UnusableCursorError):
        list_customers(
            connection, "depot", sort="last_order_at", cursor=encoded("customers", "last_order_at", value, "1")
        )
    with pytest.raises(UnusableCursorError):
        timeline(connection, "depot", 1, cursor=encoded(EVENTS.name, "-occurred_at", value, "order/1"))


@pytest.mark.parametrize("limit", [0, -1, 10**9])
def test_a_limit_out_of_bounds(connection: Connection, limit: int) -> None:
    with pytest.raises(UnusableLimitError):
        list_orders(connection, "depot", limit=limit)


@pytest.mark.parametrize("search", ["", " ", "\0", "\ud800", "x" * 101])
def test_a_search_that_is_none(connection: Connection, search: str) -> None:
    with pytest.raises(UnusableSearchError):
        list_customers(connection, "depot", search=search)
