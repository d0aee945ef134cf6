"""Orders, products, checkouts and carts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from xeno_pipeline.api.answers import Answer, ListAnswer
from xeno_pipeline.api.etags import WITHOUT_ETAG
from xeno_pipeline.api.parameters import DEFAULT_PAGE, MAX_ID, Cursor, From, Id, Limit, Ranks, Text, To
from xeno_pipeline.api.problems import OF_STORE
from xeno_pipeline.api.store_request import StoreRequestOf
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.carts import Cart, list_carts
from xeno_pipeline.insights.checkouts import Checkout, Recovery, list_checkouts, recovery
from xeno_pipeline.insights.orders import Order, OrderDetail, OrderSort, get_order, list_orders
from xeno_pipeline.insights.periods import period_between
from xeno_pipeline.insights.products import Product, ProductSort, TopProduct, list_products, top_products
from xeno_pipeline.insights.stores import today_of

router = APIRouter(tags=["orders and products"])


@router.get("/stores/{store}/orders", response_model=ListAnswer[Order], responses=OF_STORE)
def get_orders(
    request: StoreRequestOf,
    first: From = None,
    last: To = None,
    status: Annotated[
        Text | None, Query(max_length=60, description="Shopify's financial status such as PAID; or CANCELLED.")
    ] = None,
    customer_id: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    sort: OrderSort = "-ordered_on",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Orders, the latest first."""
    return request.answer(
        lambda connection: list_orders(
            connection,
            request.store,
            first=first,
            last=last,
            status=status,
            customer_id=customer_id,
            sort=sort,
            cursor=cursor,
            limit=limit,
        )
    )


@router.get("/stores/{store}/orders/{order_id}", response_model=Answer[OrderDetail], responses=OF_STORE)
def get_one_order(request: StoreRequestOf, order_id: Id) -> Response:
    """An order with its lines and its ledger."""
    return request.answer(lambda connection: get_order(connection, request.store, order_id))


@router.get("/stores/{store}/products", response_model=ListAnswer[Product], responses=OF_STORE)
def get_products(
    request: StoreRequestOf, sort: ProductSort = "product_id", cursor: Cursor = None, limit: Limit = DEFAULT_PAGE
) -> Response:
    """Products, deleted ones included."""
    return request.answer(
        lambda connection: list_products(connection, request.store, sort=sort, cursor=cursor, limit=limit)
    )


@router.get("/stores/{store}/products/top", response_model=Answer[list[TopProduct]], responses=OF_STORE)
def get_top_products(request: StoreRequestOf, first: From = None, last: To = None, limit: Ranks = 10) -> Response:
    """The products with the highest net sales; without days, of all time."""

    def make(connection: Connection) -> list[TopProduct]:
        asks_for_days = first is not None or last is not None
        period = period_between(first, last, today_of(connection, request.store)) if asks_for_days else None
        return top_products(connection, request.store, period, limit)

    return request.answer(make, is_cached=True)


@router.get("/stores/{store}/checkouts", response_model=ListAnswer[Checkout], responses=OF_STORE)
def get_checkouts(
    request: StoreRequestOf,
    first: From = None,
    last: To = None,
    recovered: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Abandoned checkouts, the latest first."""
    return request.answer(
        lambda connection: list_checkouts(
            connection,
            request.store,
            first=first,
            last=last,
            is_recovered=recovered,
            cursor=cursor,
            limit=limit,
        )
    )


@router.get("/stores/{store}/checkouts/recovery", response_model=Answer[Recovery], responses=OF_STORE)
def get_recovery(request: StoreRequestOf, first: From = None, last: To = None) -> Response:
    """What became of the checkouts that were abandoned between two days."""
    return request.answer(lambda connection: recovery(connection, request.store, first, last), is_cached=True)


@router.get("/stores/{store}/carts", response_model=ListAnswer[Cart], responses=OF_STORE, openapi_extra=WITHOUT_ETAG)
def get_carts(
    request: StoreRequestOf, abandoned: bool | None = None, cursor: Cursor = None, limit: Limit = DEFAULT_PAGE
) -> Response:
    """Carts, those that changed last first. Which are abandoned depends on the time of asking."""
    return request.answer(
        lambda connection: list_carts(connection, request.store, is_abandoned=abandoned, cursor=cursor, limit=limit),
        has_etag=False,
    )
