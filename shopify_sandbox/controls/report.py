"""The store's own sales report, straight from its ledger: what a pipeline's figures must agree with.

It shares no code with anything that reads the API: amounts are the ledger's minor units, before they are ever
written as money strings.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

import numpy as np

from shopify_sandbox.model.money import decimal_string, decimals
from shopify_sandbox.model.order import Order, Sale
from shopify_sandbox.model.times import local_date, start_of_day
from shopify_sandbox.state.store import Store

MEASURES = (
    "units",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "taxes",
    "duties_and_fees",
    "total_sales",
    "tips",
)
_CHUNK = 500
_COLUMN_OF = {
    "ADJUSTMENT": "returns",
    "SHIPPING": "shipping",
    "DUTY": "duties_and_fees",
    "ADDITIONAL_FEE": "duties_and_fees",
    "FEE": "duties_and_fees",
    "TIP": "tips",
}

Row = dict[str, str | int]


def sales_report(store: Store, first: date, last: date, by: str) -> list[Row]:
    """Ten measures and the number of orders, for each period of the shop's calendar in which something happened.

    Args:
        store: The store. Test and deleted orders count nowhere, cancelled ones in the measures alone.
        first: The first day.
        last: The last day.
        by: `day` or `month`; a month shows what happened on those of its days that were asked for.

    Returns:
        Rows by period (`2026-06-30` or `2026-06`), amounts as decimal strings of the shop's currency.
    """
    zone = store.spec.zone
    start, end = start_of_day(first, zone), start_of_day(last + timedelta(days=1), zone)
    periods: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("orders", *MEASURES), 0))

    def period(at: int) -> dict[str, int]:
        return periods[local_date(at, zone).isoformat()[: 10 if by == "day" else 7]]

    table = store.tables["Order"]
    with store.lock:
        columns = table.columns
        # Nothing in the history of an order is dated after its last update. A clock that was set back may do that.
        rows = np.flatnonzero(table.alive & ~columns["test"] & (table.changed | (columns["updated_at"] >= start)))
    for begin in range(0, len(rows), _CHUNK):
        with store.lock:
            orders: list[Order] = [store.object("Order", row) for row in rows[begin : begin + _CHUNK].tolist()]
        for order in orders:
            if order.cancelled_at is None and start <= order.processed_at < end:
                period(order.processed_at)["orders"] += 1
            for agreement in order.agreements:
                at = order.processed_at if agreement.kind == "ORDER" else agreement.happened_at
                if start <= at < end:
                    totals = period(at)
                    for sale in agreement.sales:
                        _count(totals, sale)
    return [_row(store, name, periods[name]) for name in sorted(periods)]


def _count(totals: dict[str, int], sale: Sale) -> None:
    if sale.line_type == "GIFT_CARD":
        return
    before_tax = sale.amount - sale.tax
    totals["taxes"] += sale.tax
    if sale.line_type != "PRODUCT":
        totals[_COLUMN_OF[sale.line_type]] += before_tax
    elif sale.action == "RETURN":
        totals["returns"] += before_tax
        totals["units"] -= abs(sale.quantity or 0)
    else:
        discount = sale.discount - sale.discount_tax
        totals["gross_sales"] += before_tax + discount
        totals["discounts"] -= discount
        totals["units"] += abs(sale.quantity or 0) if sale.action == "ORDER" else 0


def _row(store: Store, period: str, totals: dict[str, int]) -> Row:
    totals["net_sales"] = totals["gross_sales"] + totals["discounts"] + totals["returns"]
    totals["total_sales"] = totals["net_sales"] + totals["shipping"] + totals["taxes"] + totals["duties_and_fees"]
    places = decimals(store.spec.currency)
    counts: Row = {"period": period, "orders": totals["orders"], "units": totals["units"]}
    return counts | {name: decimal_string(totals[name], places) for name in MEASURES if name != "units"}
