"""Stores, and each at a glance."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from xeno_pipeline.api.answers import Answer
from xeno_pipeline.api.parameters import From, To
from xeno_pipeline.api.problems import OF_STORE, documented
from xeno_pipeline.api.store_request import CallerOf, StoreRequestOf
from xeno_pipeline.insights.churn import Churn, churn
from xeno_pipeline.insights.overview import Overview, overview
from xeno_pipeline.insights.sales import Grain, Sales, sales
from xeno_pipeline.insights.stores import Store, StoreList, get_store, list_stores

router = APIRouter(tags=["stores"])


@router.get("/stores", response_model=StoreList, responses=documented())
def get_stores(caller: CallerOf) -> Response:
    """The stores that the key sees, by handle."""
    with caller.unlocked() as (connection, access):
        stores = list_stores(connection, sorted(store for store in access.stores if access.may("read", store)))
    return caller.json(StoreList(data=stores).model_dump_json().encode())


@router.get("/stores/{store}", response_model=Answer[Store], responses=OF_STORE)
def get_one_store(request: StoreRequestOf) -> Response:
    """A store: its currency and time zone, how fresh its marts are, and whether its history is complete."""
    return request.answer(lambda connection: get_store(connection, request.store))


@router.get("/stores/{store}/overview", response_model=Answer[Overview], responses=OF_STORE)
def get_overview(request: StoreRequestOf, first: From = None, last: To = None) -> Response:
    """The figures of a period beside those of as many days before; without days, of the last thirty."""
    return request.answer(lambda connection: overview(connection, request.store, first, last), is_cached=True)


@router.get("/stores/{store}/sales", response_model=Answer[Sales], responses=OF_STORE)
def get_sales(request: StoreRequestOf, grain: Grain = "day", first: From = None, last: To = None) -> Response:
    """Sales by day, week, month, quarter or year; without days, of the last thirty."""
    return request.answer(lambda connection: sales(connection, request.store, grain, first, last), is_cached=True)


@router.get("/stores/{store}/churn", response_model=Answer[Churn], responses=OF_STORE)
def get_churn(request: StoreRequestOf) -> Response:
    """Customers by churn segment."""
    return request.answer(lambda connection: churn(connection, request.store), is_cached=True)
