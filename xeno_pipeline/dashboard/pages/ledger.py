"""The rows behind the figures: the ledger of some days, and one order."""

from __future__ import annotations

from starlette.responses import Response

from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.pages.overview import range_of
from xeno_pipeline.dashboard.visits import NotFoundError, StoreVisit
from xeno_pipeline.insights.ledger import LedgerEntry, ledger_totals, list_ledger
from xeno_pipeline.insights.orders import get_order
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page

_BIGINT = 2**63


def show(visit: StoreVisit) -> Response:
    """The ledger of the days in the address."""
    days = range_of(visit)

    def read(cursor: str | None, limit: int) -> Page[LedgerEntry]:
        return list_ledger(visit.connection, visit.tenant_id, days.period, cursor=cursor, limit=limit)

    if visit.query.get("format") == "csv":
        name = f"ledger-{days.period.first}-{days.period.last}"
        return download_all(visit, name, LedgerEntry, read)
    return visit.respond(
        "ledger.html",
        days=days,
        page=read(visit.query.get("cursor"), DEFAULT_LIMIT),
        totals=ledger_totals(visit.connection, visit.tenant_id, days.period),
        is_first_page="cursor" not in visit.query,
        csv_url=visit.url_with(format="csv", cursor=None),
    )


def order(visit: StoreVisit) -> Response:
    """One order, with its lines and its ledger."""
    number = visit.request.path_params["order_id"]
    found = get_order(visit.connection, visit.tenant_id, number) if number < _BIGINT else None
    if found is None:
        raise NotFoundError(visit.text("There is no such page."))
    titles = {line.order_line_id: line.title for line in found.lines}
    return visit.respond("order.html", order=found, titles=titles)
