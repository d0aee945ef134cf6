"""Customers, RFM and cohorts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from xeno_pipeline.api.answers import Answer, ListAnswer
from xeno_pipeline.api.parameters import DEFAULT_PAGE, MAX_ID, Cursor, From, Id, Limit, Ranks, Text, To
from xeno_pipeline.api.problems import OF_STORE, Kind, documented
from xeno_pipeline.api.store_request import StoreRequestOf
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.cohorts import Cohorts, Measure, cohorts
from xeno_pipeline.insights.customers import (
    Customer,
    CustomerSort,
    TopCustomer,
    get_customer,
    list_customers,
    top_customers,
)
from xeno_pipeline.insights.paging import Page
from xeno_pipeline.insights.rfm import Rfm, RfmMigration, rfm, rfm_migrations
from xeno_pipeline.insights.timeline import TimelineEvent, timeline

router = APIRouter(tags=["customers"])

SegmentName = Annotated[Text | None, Query(max_length=60)]


@router.get(
    "/stores/{store}/customers",
    response_model=ListAnswer[Customer],
    responses=documented(Kind.NOT_FOUND, Kind.NOT_ALLOWED),
)
def get_customers(
    request: StoreRequestOf,
    search: Annotated[
        Text | None,
        Query(alias="q", min_length=1, max_length=100, description="Part of an address, name or phone number."),
    ] = None,
    segment: Annotated[int | None, Query(ge=1, le=MAX_ID, description="The id of a saved segment.")] = None,
    rfm_segment: SegmentName = None,
    churn_segment: SegmentName = None,
    sort: CustomerSort = "-net_sales",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Customers; `sort` with a hyphen sorts from the highest. A search (`q`) needs the scope `people`."""
    return request.answer(
        lambda connection: list_customers(
            connection,
            request.store,
            search=search,
            segment=segment,
            rfm_segment=rfm_segment,
            churn_segment=churn_segment,
            sort=sort,
            cursor=cursor,
            limit=limit,
        ),
        *(["people"] if search is not None else []),
    )


@router.get("/stores/{store}/customers/top", response_model=Answer[list[TopCustomer]], responses=OF_STORE)
def get_top_customers(request: StoreRequestOf, limit: Ranks = 10) -> Response:
    """The customers with the highest net sales."""
    return request.answer(lambda connection: top_customers(connection, request.store, limit))


@router.get("/stores/{store}/customers/{customer_id}", response_model=Answer[Customer], responses=OF_STORE)
def get_one_customer(request: StoreRequestOf, customer_id: Id) -> Response:
    """A customer."""
    return request.answer(lambda connection: get_customer(connection, request.store, customer_id))


@router.get(
    "/stores/{store}/customers/{customer_id}/timeline", response_model=ListAnswer[TimelineEvent], responses=OF_STORE
)
def get_timeline(
    request: StoreRequestOf, customer_id: Id, cursor: Cursor = None, limit: Limit = DEFAULT_PAGE
) -> Response:
    """What happened in a customer's life, latest first."""

    def make(connection: Connection) -> Page[TimelineEvent] | None:
        page = timeline(connection, request.store, customer_id, cursor, limit)
        return page if page.data or get_customer(connection, request.store, customer_id) else None

    return request.answer(make)


@router.get("/stores/{store}/rfm", response_model=Answer[Rfm], responses=OF_STORE)
def get_rfm(request: StoreRequestOf) -> Response:
    """Customers by RFM segment, and by recency and frequency score."""
    return request.answer(lambda connection: rfm(connection, request.store), is_cached=True)


@router.get("/stores/{store}/rfm/migrations", response_model=Answer[list[RfmMigration]], responses=OF_STORE)
def get_rfm_migrations(request: StoreRequestOf, first: From = None, last: To = None) -> Response:
    """How many moved from one RFM segment to another, by month."""
    return request.answer(lambda connection: rfm_migrations(connection, request.store, first, last), is_cached=True)


@router.get("/stores/{store}/cohorts", response_model=Answer[Cohorts], responses=OF_STORE)
def get_cohorts(request: StoreRequestOf, measure: Measure = "retention") -> Response:
    """Cohorts by the month of the first order, and what came of them in each month since."""
    return request.answer(lambda connection: cohorts(connection, request.store, measure), is_cached=True)
