"""Customers: a list that is searched, filtered and sorted, and one of them with everything that is known."""

from __future__ import annotations

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.listings import download_all, other_direction
from xeno_pipeline.dashboard.visits import NotFoundError, StoreVisit
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.customers import CUSTOMERS, Customer, get_customer, list_customers
from xeno_pipeline.insights.matching import list_matching
from xeno_pipeline.insights.orders import Order, list_orders
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page
from xeno_pipeline.insights.segment_figures import segments_of
from xeno_pipeline.insights.timeline import TimelineEvent, timeline
from xeno_pipeline.segments.attributes import ATTRIBUTES
from xeno_pipeline.segments.registry import list_segments

_BIGINT = 2**63
_SHOWN = 20


def show(visit: StoreVisit) -> Response:
    """The list."""
    if visit.table_to_download() is not None:
        return download_all(visit, "customers", Customer, _read)
    sort = visit.query.get("sort") or CUSTOMERS.default
    return visit.respond(
        "customers.html",
        page=_read(visit, visit.query.get("cursor"), DEFAULT_LIMIT),
        is_first_page="cursor" not in visit.query,
        sort=sort,
        sorted_by=lambda column: visit.url_with(sort=other_direction(sort, column), cursor=None),
        define=lambda column: DEFINITIONS.of(visit.connection, "dim_customers", column),
        rfm_segments=ATTRIBUTES["rfm_segment"].values,
        churn_segments=ATTRIBUTES["churn_segment"].values,
        segments=[
            segment
            for segment in list_segments(visit.connection, visit.tenant_id)
            if visit.may("people") or not segment.is_personal
        ],
    )


def profile(visit: StoreVisit) -> Response:
    """One customer."""
    customer = _customer(visit)
    return visit.respond(
        "customer.html",
        customer=customer,
        segments=segments_of(visit.connection, visit.tenant_id, customer.customer_id),
        define=lambda column: DEFINITIONS.of(visit.connection, "dim_customers", column),
    )


def events(visit: StoreVisit) -> Response:
    """What happened to one customer, a page at a time."""
    number = _customer(visit).customer_id

    def read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[TimelineEvent]:
        return timeline(visit.connection, visit.tenant_id, number, cursor, limit)

    if visit.table_to_download() is not None:
        return download_all(visit, f"customer-{number}-timeline", TimelineEvent, read)
    return visit.respond("customer_timeline.html", page=read(visit, visit.query.get("cursor"), _SHOWN))


def orders(visit: StoreVisit) -> Response:
    """The orders of one customer, a page at a time."""
    number = _customer(visit).customer_id

    def read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Order]:
        return list_orders(visit.connection, visit.tenant_id, customer_id=number, cursor=cursor, limit=limit)

    if visit.table_to_download() is not None:
        return download_all(visit, f"customer-{number}-orders", Order, read)
    return visit.respond("customer_orders.html", page=read(visit, visit.query.get("cursor"), _SHOWN))


def _read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Customer]:
    """A page of the list that the address asks for."""
    asked, query = visit.query, visit.query.get("query")
    sort = asked.get("sort") or None
    if query:
        return list_matching(visit.connection, visit.tenant_id, query, sort=sort, cursor=cursor, limit=limit)
    return list_customers(
        visit.connection,
        visit.tenant_id,
        search=(asked.get("search") or "").strip() or None,
        segment=_number(visit, asked.get("segment")),
        rfm_segment=asked.get("rfm") or None,
        churn_segment=asked.get("churn") or None,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )


def _number(visit: StoreVisit, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) < _BIGINT):
        raise UsageError(visit.text("There is no such segment."))
    return int(text)


def _customer(visit: StoreVisit) -> Customer:
    number = visit.request.path_params["customer_id"]
    found = get_customer(visit.connection, visit.tenant_id, number) if number < _BIGINT else None
    if found is None:
        raise NotFoundError(visit.text("There is no such page."))
    return found
