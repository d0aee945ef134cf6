"""The rows behind the figures: the ledger of some days, and one order."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.visits import NotFoundError, StoreVisit
from xeno_pipeline.insights.ledger import LedgerEntry, ledger_totals, list_ledger
from xeno_pipeline.insights.orders import OrderLine, OrderSale, get_order
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page

_BIGINT = 2**63


def show(visit: StoreVisit) -> Response:
    """The ledger of the days in the address."""
    days = visit.days
    kind = visit.query.get("only", "")

    def read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[LedgerEntry]:
        only_returns = kind == "returns"
        return list_ledger(
            visit.connection, visit.tenant_id, days.period, only_returns=only_returns, cursor=cursor, limit=limit
        )

    if visit.table_to_download() is not None:
        name = f"{kind if kind == 'returns' else 'ledger'}-{days.period.first}-{days.period.last}"
        return download_all(visit, name, LedgerEntry, read)
    return visit.respond(
        "ledger.html",
        days=days,
        page=read(visit, visit.query.get("cursor"), DEFAULT_LIMIT),
        kind=kind,
        define=_define(visit),
        totals=ledger_totals(visit.connection, visit.tenant_id, days.period),
        is_first_page="cursor" not in visit.query,
    )


def order(visit: StoreVisit) -> Response:
    """One order, with its lines and its ledger."""
    number = visit.request.path_params["order_id"]
    found = get_order(visit.connection, visit.tenant_id, number) if number < _BIGINT else None
    if found is None:
        raise NotFoundError(visit.text("There is no such page."))
    if (table := visit.table_to_download()) is not None:
        name = f"{visit.tenant_id}-order-{number}-{table or 'entries'}"
        return csv_of(name, OrderLine, found.lines) if table == "lines" else csv_of(name, OrderSale, found.sales)
    titles = {line.order_line_id: line.title for line in found.lines}
    return visit.respond("order.html", order=found, titles=titles, define=_define(visit))


def _define(visit: StoreVisit) -> Callable[[str], str]:
    return lambda column: DEFINITIONS.of(visit.connection, "revenue_daily", column)
