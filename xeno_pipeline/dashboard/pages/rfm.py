"""RFM: the grid of recency and frequency, the eleven segments, and who moved between them."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.heat import heat
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.rfm import RfmCell, RfmMigration, RfmSegment, rfm, rfm_migrations

SCORES = (1, 2, 3, 4, 5)

ORDER = (
    *("LOST", "HIBERNATING", "ABOUT_TO_SLEEP", "CANNOT_LOSE", "AT_RISK", "NEED_ATTENTION", "PROMISING"),
    *("NEW_CUSTOMERS", "POTENTIAL_LOYALIST", "LOYAL", "CHAMPIONS"),
)
"""From the customers that are as good as gone to the best."""


def show(visit: StoreVisit) -> Response:
    """The page."""
    found = rfm(visit.connection, visit.tenant_id)
    if (table := visit.table_to_download()) is not None:
        if table == "grid":
            return csv_of(f"{visit.tenant_id}-rfm-grid", RfmCell, found.cells)
        return csv_of(f"{visit.tenant_id}-rfm-segments", RfmSegment, found.segments)
    cells = {(cell.recency_score, cell.frequency_score): cell for cell in found.cells}
    most = max((cell.customers for cell in found.cells), default=0)
    return visit.respond(
        "rfm.html",
        rfm=found,
        scores=SCORES,
        cells=cells,
        heat=lambda cell: heat(Decimal(cell.customers), Decimal(most)),
        cell_query=lambda recency, frequency: f"recency_score = {recency} AND frequency_score = {frequency}",
        define=lambda column, mart="rfm_segments": DEFINITIONS.of(visit.connection, mart, column),
    )


def moves(visit: StoreVisit) -> Response:
    """Who moved between segments, month by month."""
    found = rfm_migrations(visit.connection, visit.tenant_id)
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-rfm-migrations", RfmMigration, found)
    months = sorted({move.month for move in found}, reverse=True)
    asked = visit.query.get("month")
    month = next((each for each in months if each.isoformat() == asked), months[0] if months else None)
    shown = sorted((move for move in found if move.month == month), key=lambda move: -move.customers)
    return visit.respond(
        "rfm_moves.html",
        months=months,
        month=month,
        moves=shown,
        is_better=lambda move: ORDER.index(move.to_segment) > ORDER.index(move.from_segment),
    )
