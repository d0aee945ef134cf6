"""Churn: who is about to leave, and what is at stake."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.churn import ChurnSegment, churn
from xeno_pipeline.insights.customers import Customer
from xeno_pipeline.insights.matching import list_matching
from xeno_pipeline.insights.paging import Page

AT_STAKE = "is_churn_risk = true AND number_of_orders > 1"
"""Who came back at least once, and has not for long: others were never there to be lost."""

_SHOWN = 20


def show(visit: StoreVisit) -> Response:
    """The page."""
    found = churn(visit.connection, visit.tenant_id)
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-churn", ChurnSegment, found.segments)
    net_sales = sum((segment.net_sales for segment in found.segments), Decimal(0))
    return visit.respond(
        "churn.html",
        churn=found,
        net_sales=net_sales,
        is_predicted=any(segment.value_at_stake is not None for segment in found.segments),
        share_of=lambda part, whole: Decimal(part) / Decimal(whole) if whole else None,
        query=AT_STAKE,
        define=lambda column, mart="dim_customers": DEFINITIONS.of(visit.connection, mart, column),
    )


def at_stake(visit: StoreVisit) -> Response:
    """The customers with the highest net sales among those who are about to leave."""
    if visit.table_to_download() is not None:
        return download_all(visit, "about-to-leave", Customer, _read)
    return visit.respond("churn_at_stake.html", page=_read(visit, None, _SHOWN), query=AT_STAKE)


def _read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Customer]:
    return list_matching(visit.connection, visit.tenant_id, AT_STAKE, sort="-net_sales", cursor=cursor, limit=limit)
