"""Checkouts and carts that were left, and what was recovered of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from starlette.responses import Response

from xeno_pipeline.dashboard.charts import chart_data
from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.ranges import N_, Range, start_of
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.carts import Cart, list_carts
from xeno_pipeline.insights.checkouts import Checkout, RecoveryDay, list_checkouts, recovery, recovery_by_day
from xeno_pipeline.insights.model import growth
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Page

_STATES = {"open": False, "recovered": True}


def show(visit: StoreVisit) -> Response:
    """The page."""
    days = visit.days
    period, compared = days.period, days.compared
    by_day = recovery_by_day(visit.connection, visit.tenant_id, period.first, period.last)
    if (table := visit.table_to_download()) is not None:
        if table == "days":
            return csv_of(f"{visit.tenant_id}-recovery-{period.first}-{period.last}", RecoveryDay, by_day)
        return download_all(visit, "checkouts", Checkout, _read)
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
        chart=_chart(visit, days, by_day),
    )


def carts(visit: StoreVisit) -> Response:
    """Carts of the online store, those that changed last first."""
    if visit.table_to_download() is not None:
        return download_all(visit, "carts", Cart, _read_carts)
    return visit.respond("carts.html", page=_read_carts(visit, None, 20))


def _read_carts(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Cart]:
    return list_carts(visit.connection, visit.tenant_id, is_abandoned=True, cursor=cursor, limit=limit)


def _chart(visit: StoreVisit, days: Range, by_day: Sequence[RecoveryDay]) -> str | None:
    """What was left and what was recovered of it, by day or by a longer time where there are many days."""
    periods: dict[date, tuple[Decimal, Decimal]] = {}
    for day in by_day:
        start = start_of(days.grain, day.date_day)
        value, recovered = periods.get(start, (Decimal(0), Decimal(0)))
        periods[start] = (value + day.value, recovered + day.recovered_value)
    if not any(value for value, _ in periods.values()):
        return None
    last = start_of(days.grain, days.today)
    series = [
        {
            "name": name,
            "kind": kind,
            "values": values,
            "texts": [visit.formats.money(value) for value in values],
            "partial": [start == last for start in periods],
            "good": kind == "line",
        }
        for name, kind, values in (
            (visit.text(N_("Their value")), "bar", [value for value, _ in periods.values()]),
            (visit.text(N_("Recovered")), "line", [recovered for _, recovered in periods.values()]),
        )
    ]
    return chart_data(
        [days.label(start, visit.formats) for start in periods],
        series,
        values_as="money",
        currency=visit.store.currency,
        language=str(visit.locale).replace("_", "-"),
    )


def _read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Checkout]:
    period = visit.days.period
    return list_checkouts(
        visit.connection,
        visit.tenant_id,
        first=period.first,
        last=period.last,
        is_recovered=_STATES.get(visit.query.get("state", "")),
        cursor=cursor,
        limit=limit,
    )
