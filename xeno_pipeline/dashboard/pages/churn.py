"""Churn: who is about to leave, and what is at stake."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_response
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.churn import ChurnSegment, churn
from xeno_pipeline.insights.matching import list_matching

AT_STAKE = "is_churn_risk = true AND number_of_orders > 1"
"""Who came back at least once, and has not for long: others were never there to be lost."""


def show(visit: StoreVisit) -> Response:
    """The page."""
    found = churn(visit.connection, visit.tenant_id)
    if visit.query.get("format") == "csv":
        columns = tuple(ChurnSegment.model_fields)
        rows = ([getattr(segment, column) for column in columns] for segment in found.segments)
        return csv_response(f"{visit.tenant_id}-churn", columns, rows)
    net_sales = sum((segment.net_sales for segment in found.segments), Decimal(0))
    return visit.respond(
        "churn.html",
        churn=found,
        net_sales=net_sales,
        share_of=lambda part, whole: Decimal(part) / Decimal(whole) if whole else None,
        query=AT_STAKE,
        define=lambda column, mart="dim_customers": DEFINITIONS.of(visit.connection, mart, column),
        csv_url=visit.url_with(format="csv"),
    )


def at_stake(visit: StoreVisit) -> Response:
    """The customers with the highest net sales among those who are about to leave."""
    page = list_matching(visit.connection, visit.tenant_id, AT_STAKE, sort="-net_sales", limit=20)
    return visit.respond("churn_at_stake.html", page=page, query=AT_STAKE)
