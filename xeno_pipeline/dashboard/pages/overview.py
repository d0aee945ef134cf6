"""A store at a glance: figures beside those before, sales over time, what sells, who buys, what changed today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from starlette.responses import Response

from xeno_pipeline.dashboard.charts import chart_data, sparkline
from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of, csv_response
from xeno_pipeline.dashboard.ranges import N_, Range
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.changes import changes_of_day
from xeno_pipeline.insights.customers import TopCustomer, customers_of, top_customers
from xeno_pipeline.insights.figures import Figures, figures_of
from xeno_pipeline.insights.model import growth
from xeno_pipeline.insights.orders import Order, list_orders
from xeno_pipeline.insights.periods import Period
from xeno_pipeline.insights.products import TopProduct, top_products
from xeno_pipeline.insights.sales import SalesPeriod, sales
from xeno_pipeline.insights.stores import today_of

Kind = Literal["money", "number"]


@dataclass(frozen=True)
class Measure:
    """A figure that the page is about."""

    name: str
    title: str
    kind: Kind


MEASURES = (
    Measure("net_sales", N_("Net sales"), "money"),
    Measure("orders", N_("Orders"), "number"),
    Measure("average_order_value", N_("Average order value"), "money"),
    Measure("customers", N_("Customers"), "number"),
)

GRAIN_TITLES = {
    "day": N_("Day"),
    "week": N_("Week"),
    "month": N_("Month"),
    "quarter": N_("Quarter"),
    "year": N_("Year"),
}

BREAKDOWN = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "duties_and_fees", "total_sales")

_CSV_COLUMNS = (
    *("period_start", "period_end", "is_partial", "is_cut", "orders", "customers", "new_customers"),
    *("returning_customers", "average_order_value", "units", *BREAKDOWN, "tips"),
)
_MOST_ROWS = 400
_BEST = 10


@dataclass(frozen=True)
class Card:
    """A figure with what it is compared with."""

    measure: Measure
    value: Decimal | int | None
    before: Decimal | int | None
    growth: Decimal | None
    points: str | None
    definition: str


def show(visit: StoreVisit) -> Response:
    """The page."""
    days = visit.days
    rows = _rows(visit, days, days.period)
    compared = days.compared
    table = visit.table_to_download()
    if table == "":
        return _download(visit, days, rows)
    current = figures_of(visit.connection, visit.tenant_id, days.period)
    before = figures_of(visit.connection, visit.tenant_id, compared) if compared else None
    if table is not None:
        return _download_breakdown(visit, days, current, before)
    measure = next((each for each in MEASURES if each.name == visit.query.get("measure")), MEASURES[0])
    best = _best(rows, measure)
    return visit.respond(
        "overview.html",
        days=days,
        compared=compared,
        current=current,
        before=before,
        cards=[_card(visit, each, current, before, rows) for each in MEASURES],
        measure=measure,
        measures=MEASURES,
        grains=GRAIN_TITLES,
        rows=rows,
        best=best,
        why_best=_beside_others(rows, best) if best else None,
        chart=_chart(visit, days, rows, measure),
        breakdown=[(name, getattr(current, name), getattr(before, name, None)) for name in BREAKDOWN],
        define=lambda column, mart="revenue_daily": DEFINITIONS.of(visit.connection, mart, column),
        label=lambda row: days.label(row.period_start, visit.formats),
        span_of=lambda row: _days_of(row, days),
        growth=growth,
    )


def today(visit: StoreVisit) -> Response:
    """What changed today, beside yesterday."""
    day = today_of(visit.connection, visit.tenant_id)
    period = Period(day, day)
    orders = list_orders(visit.connection, visit.tenant_id, limit=6).data
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-latest-orders", Order, orders)
    return visit.respond(
        "overview_today.html",
        day=day,
        now=figures_of(visit.connection, visit.tenant_id, period),
        yesterday=figures_of(visit.connection, visit.tenant_id, period.before()),
        changes=changes_of_day(visit.connection, visit.tenant_id, day),
        orders=orders,
        define=lambda column: DEFINITIONS.of(visit.connection, "revenue_daily", column),
    )


def best(visit: StoreVisit) -> Response:
    """What sold best in these days, and the best customers of all time."""
    days = visit.days
    products = top_products(visit.connection, visit.tenant_id, days.period, limit=_BEST)
    customers = top_customers(visit.connection, visit.tenant_id, limit=_BEST)
    if (table := visit.table_to_download()) is not None:
        if table == "customers":
            return csv_of(f"{visit.tenant_id}-best-customers", TopCustomer, customers)
        return csv_of(f"{visit.tenant_id}-best-products", TopProduct, products)
    people = customers_of(visit.connection, visit.tenant_id, [customer.customer_id for customer in customers])
    return visit.respond("overview_best.html", days=days, products=products, customers=people)


def _rows(visit: StoreVisit, days: Range, period: Period) -> list[SalesPeriod]:
    return sales(visit.connection, visit.tenant_id, days.grain, period.first, period.last).data


def _card(
    visit: StoreVisit, measure: Measure, current: Figures, before: Figures | None, rows: Sequence[SalesPeriod]
) -> Card:
    value, base = getattr(current, measure.name), getattr(before, measure.name, None)
    points = sparkline([getattr(row, measure.name) for row in rows if not row.is_partial])
    definition = DEFINITIONS.of(visit.connection, "revenue_trends", measure.name)
    return Card(measure, value, base, growth(value, base), points, definition)


def _chart(visit: StoreVisit, days: Range, rows: Sequence[SalesPeriod], measure: Measure) -> str | None:
    """The bars of the days, and a line of those before; None where there is nothing to draw."""
    if not rows or len(rows) > _MOST_ROWS:
        return None
    write = visit.formats.money if measure.kind == "money" else visit.formats.number
    series = [_series(visit.text(measure.title), "bar", rows, measure, write)]
    if days.compared is not None:
        beside = _beside(rows, days, _rows(visit, days, days.compared))
        if any(row and getattr(row, measure.name) for row in beside):
            name = visit.text(N_("Same days last year") if days.comparison == "year" else N_("Period before"))
            series.append(_series(name, "line", beside, measure, write) | {"quiet": True})
    return chart_data(
        [days.label(row.period_start, visit.formats) for row in rows],
        series,
        links=[visit.path("ledger", **_days_of(row, days)) for row in rows],
        values_as=measure.kind,
        currency=visit.store.currency,
        language=str(visit.locale).replace("_", "-"),
    )


def _series(
    name: str, kind: str, rows: Sequence[SalesPeriod | None], measure: Measure, write: Callable[[Any], str]
) -> dict[str, Any]:
    values = [getattr(row, measure.name, None) for row in rows]
    return {
        "name": name,
        "kind": kind,
        "values": values,
        "texts": [write(value) for value in values],
        "partial": [row is not None and row.is_partial for row in rows],
    }


def _beside(rows: Sequence[SalesPeriod], days: Range, others: Sequence[SalesPeriod]) -> list[SalesPeriod | None]:
    """For each row, that of the days compared with which is as far from their start; None before the first sale."""
    assert days.compared is not None
    start = _number(days, days.compared.first)
    by_number = {_number(days, other.period_start) - start: other for other in others}
    return [by_number.get(_number(days, row.period_start) - _number(days, days.period.first)) for row in rows]


def _number(days: Range, day: date) -> int:
    """The number of the day, week, month, quarter or year that a day is in."""
    months = 12 * day.year + day.month - 1
    return {
        "day": day.toordinal(),
        "week": (day.toordinal() - 1) // 7,  # the first day of the calendar was a Monday
        "month": months,
        "quarter": months // 3,
        "year": day.year,
    }[days.grain]


def _days_of(row: SalesPeriod, days: Range) -> dict[str, str]:
    """The days of a row among those asked for, for an address."""
    first, last = max(row.period_start, days.period.first), min(row.period_end, days.period.last, days.today)
    return {"from": first.isoformat(), "to": last.isoformat()}


def _best(rows: Sequence[SalesPeriod], measure: Measure) -> SalesPeriod | None:
    """The row with the highest figure, where there are enough to speak of one."""
    known = [row for row in rows if getattr(row, measure.name)]
    return max(known, key=lambda row: getattr(row, measure.name)) if len(known) > 2 else None


@dataclass(frozen=True)
class BesideOthers:
    """By what fraction a period is above the others on average."""

    net_sales: Decimal | None
    orders: Decimal | None
    average_order_value: Decimal | None


def _beside_others(rows: Sequence[SalesPeriod], best: SalesPeriod) -> BesideOthers | None:
    """What made the best period so; None where it is the only one that is whole."""
    others = [row for row in rows if row is not best and not row.is_partial and not row.is_cut]
    orders = sum(row.orders for row in others)
    if not orders:
        return None
    values = sum(((row.average_order_value or Decimal(0)) * row.orders for row in others), Decimal(0))
    return BesideOthers(
        growth(best.net_sales, sum((row.net_sales for row in others), Decimal(0)) / len(others)),
        growth(best.orders, Decimal(orders) / len(others)),
        growth(best.average_order_value, values / orders),
    )


def _download_breakdown(visit: StoreVisit, days: Range, current: Figures, before: Figures | None) -> Response:
    rows = ((name, getattr(current, name), getattr(before, name, None)) for name in BREAKDOWN)
    name = f"{visit.tenant_id}-parts-of-sales-{days.period.first}-{days.period.last}"
    return csv_response(name, ("part", "value", "compared_with"), rows)


def _download(visit: StoreVisit, days: Range, rows: Sequence[SalesPeriod]) -> Response:
    name = f"{visit.tenant_id}-sales-by-{days.grain}-{days.period.first}-{days.period.last}"
    return csv_response(name, _CSV_COLUMNS, ([getattr(row, column) for column in _CSV_COLUMNS] for row in rows))
