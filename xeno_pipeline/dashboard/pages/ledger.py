"""The rows behind the figures: the ledger of some days, and one order."""

from __future__ import annotations

from starlette.responses import Response

from xeno_pipeline.dashboard.downloads import csv_response
from xeno_pipeline.dashboard.pages.overview import range_of
from xeno_pipeline.dashboard.visits import NotFoundError, StoreVisit
from xeno_pipeline.insights.ledger import LedgerEntry, ledger_totals, list_ledger
from xeno_pipeline.insights.orders import get_order
from xeno_pipeline.insights.paging import MAX_LIMIT

_MOST_DOWNLOADED = 50_000
_CSV_COLUMNS = tuple(LedgerEntry.model_fields)
_BIGINT = 2**63


def show(visit: StoreVisit) -> Response:
    """The ledger of the days in the address."""
    days = range_of(visit)
    if visit.query.get("format") == "csv":
        return _download(visit)
    page = list_ledger(visit.connection, visit.tenant_id, days.period, cursor=visit.query.get("cursor"))
    return visit.respond(
        "ledger.html",
        days=days,
        page=page,
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


def _download(visit: StoreVisit) -> Response:
    days = range_of(visit)
    rows: list[LedgerEntry] = []
    cursor: str | None = None
    while len(rows) < _MOST_DOWNLOADED:
        page = list_ledger(visit.connection, visit.tenant_id, days.period, cursor=cursor, limit=MAX_LIMIT)
        rows += page.data
        cursor = page.next
        if cursor is None:
            break
    name = f"{visit.tenant_id}-ledger-{days.period.first}-{days.period.last}"
    return csv_response(name, _CSV_COLUMNS, ([getattr(row, column) for column in _CSV_COLUMNS] for row in rows))
