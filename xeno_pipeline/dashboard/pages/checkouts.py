"""Checkouts and carts that were left, and what was recovered of them."""

from __future__ import annotations

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.pages.overview import range_of
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.carts import list_carts
from xeno_pipeline.insights.checkouts import Checkout, list_checkouts, recovery
from xeno_pipeline.insights.model import growth
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page

_STATES = {"open": False, "recovered": True}


def show(visit: StoreVisit) -> Response:
    """The page."""
    days = range_of(visit)
    if visit.query.get("format") == "csv":
        return download_all(visit, "checkouts", Checkout, lambda cursor, limit: _read(visit, cursor, limit))
    period, compared = days.period, days.compared
    return visit.respond(
        "checkouts.html",
        days=days,
        compared=compared,
        now=recovery(visit.connection, visit.tenant_id, period.first, period.last),
        before=recovery(visit.connection, visit.tenant_id, compared.first, compared.last) if compared else None,
        page=_read(visit, visit.query.get("cursor"), DEFAULT_LIMIT),
        is_first_page="cursor" not in visit.query,
        state=visit.query.get("state", ""),
        growth=growth,
        define=lambda column: DEFINITIONS.of(visit.connection, "checkout_recovery_daily", column),
        csv_url=visit.url_with(format="csv", cursor=None),
    )


def carts(visit: StoreVisit) -> Response:
    """Carts of the online store, those that changed last first."""
    page = list_carts(visit.connection, visit.tenant_id, is_abandoned=True, limit=20)
    return visit.respond("carts.html", page=page)


def _read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Checkout]:
    period = range_of(visit).period
    return list_checkouts(
        visit.connection,
        visit.tenant_id,
        first=period.first,
        last=period.last,
        is_recovered=_STATES.get(visit.query.get("state", "")),
        cursor=cursor,
        limit=limit,
    )
