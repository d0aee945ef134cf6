"""Retention: customers by the month of their first order, and what came of them month by month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast, get_args

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_response
from xeno_pipeline.dashboard.heat import heat
from xeno_pipeline.dashboard.ranges import N_
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.cohorts import Cohort, Measure, cohorts
from xeno_pipeline.insights.stores import today_of

TITLES: dict[str, str] = {"retention": N_("Ordered again"), "net_sales": N_("Net sales"), "ltv": N_("Lifetime value")}
_COLUMNS = {"retention": "retention_rate", "net_sales": "net_sales", "ltv": "ltv"}
_FEWEST_FOR_RATES = 20
_MONTHS = 13


def show(visit: StoreVisit) -> Response:
    """The page."""
    measure = visit.query.get("measure", "retention")
    if measure not in get_args(Measure):
        raise UsageError(f"Cohorts have no {measure[:40]!r}: choose from {', '.join(TITLES)}.")
    today = today_of(visit.connection, visit.tenant_id)
    found = cohorts(visit.connection, visit.tenant_id, cast(Measure, measure)).cohorts
    if visit.table_to_download() is not None:
        rows = ((c.cohort_month, c.cohort_size, month, value) for c in found for month, value in enumerate(c.values))
        names = ("cohort_month", "cohort_size", "period_number", _COLUMNS[measure])
        return csv_response(f"{visit.tenant_id}-cohorts-{measure}", names, rows)
    is_whole = visit.query.get("span") == "all"
    shown = found if is_whole else found[-_MONTHS:]
    width = max((len(cohort.values) for cohort in shown), default=0)
    columns = range(width if is_whole else min(width, _MONTHS))
    return visit.respond(
        "retention.html",
        measure=measure,
        titles=TITLES,
        cohorts=shown,
        columns=columns,
        averages=[_average(shown, column, today) for column in columns] if measure != "net_sales" else None,
        has_more=len(found) > len(shown) or is_whole,
        is_whole=is_whole,
        is_small=sum(cohort.cohort_size for cohort in found) < _FEWEST_FOR_RATES,
        is_running=lambda cohort, column: _month_after(cohort.cohort_month, column) == today.replace(day=1),
        heat=_heat_of(shown, measure),
        definition=DEFINITIONS.of(visit.connection, "cohort_retention", _COLUMNS[measure]),
    )


def _heat_of(shown: list[Cohort], measure: str) -> object:
    """The class of a cell; the first month of retention, which is all customers, would leave the others pale."""
    first = 1 if measure == "retention" else 0
    most = max((value for cohort in shown for value in cohort.values[first:]), default=Decimal(0))
    return lambda value: heat(value, most)


def _average(shown: list[Cohort], column: int, today: date) -> Decimal | None:
    """The mean of a column, weighted by the cohorts' sizes, of those whose month is over."""
    known = [
        cohort
        for cohort in shown
        if column < len(cohort.values) and _month_after(cohort.cohort_month, column) < today.replace(day=1)
    ]
    size = sum(cohort.cohort_size for cohort in known)
    if not size:
        return None
    return sum((cohort.values[column] * cohort.cohort_size for cohort in known), Decimal(0)) / size


def _month_after(month: date, months: int) -> date:
    years, number = divmod(month.month - 1 + months, 12)
    return date(month.year + years, number + 1, 1)
