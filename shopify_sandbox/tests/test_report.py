"""The store's own sales report, against the same figures added up from what the API shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from shopify_sandbox.controls.report import MEASURES, sales_report
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.tests.client import LocalClient

Open = Callable[..., LocalClient]
Figures = dict[str, dict[str, Decimal]]
EVER = (date(2020, 1, 1), date(2030, 12, 31))


def expected(client: LocalClient, characters: int) -> Figures:
    """The figures by period, by the contract's table; `characters` of a date make a period."""
    zone = ZoneInfo(client.store.spec.timezone)
    periods: Figures = defaultdict(lambda: dict.fromkeys(("orders", *MEASURES), Decimal()))

    def period(text: str) -> dict[str, Decimal]:
        return periods[datetime.fromisoformat(text).astimezone(zone).date().isoformat()[:characters]]

    table = client.store.tables["Order"]
    orders = [client.store.document("Order", row) for row in range(len(table.alive)) if table.alive[row]]
    for order in orders:
        if order["test"]:
            continue
        if not order["cancelledAt"]:
            period(order["processedAt"])["orders"] += 1
        for agreement in order["agreements"]:
            totals = period(order["processedAt"] if agreement["reason"] == "ORDER" else agreement["happenedAt"])
            for sale in agreement["sales"]:
                _add(totals, sale)
    for totals in periods.values():
        totals["net_sales"] = totals["gross_sales"] + totals["discounts"] + totals["returns"]
        totals["total_sales"] = totals["net_sales"] + totals["shipping"] + totals["taxes"] + totals["duties_and_fees"]
    return dict(periods)


def _add(totals: dict[str, Decimal], sale: dict[str, Any]) -> None:
    amount, tax, discount = (
        Decimal(sale[name]["shopMoney"]["amount"])
        for name in ("totalAmount", "totalTaxAmount", "totalDiscountAmountBeforeTaxes")
    )
    match sale["lineType"], sale["actionType"]:
        case "GIFT_CARD", _:
            return
        case "PRODUCT", "RETURN":
            totals["returns"] += amount - tax
            totals["units"] -= abs(sale["quantity"])
        case "PRODUCT", action:
            totals["gross_sales"] += amount - tax + discount
            totals["discounts"] -= discount
            totals["units"] += abs(sale["quantity"]) if action == "ORDER" else 0
        case "ADJUSTMENT", _:
            totals["returns"] += amount - tax
        case "SHIPPING", _:
            totals["shipping"] += amount - tax
        case "TIP", _:
            totals["tips"] += amount - tax
        case "DUTY" | "FEE" | "ADDITIONAL_FEE", _:
            totals["duties_and_fees"] += amount - tax
    totals["taxes"] += tax


def read(rows: list[dict[str, str | int]]) -> Figures:
    return {
        str(row["period"]): {name: Decimal(value) for name, value in row.items() if name != "period"} for row in rows
    }


@pytest.mark.parametrize("by", ["day", "month"])
@pytest.mark.parametrize(
    ("currency", "timezone"), [("USD", "America/New_York"), ("JPY", "Asia/Tokyo"), ("KWD", "Pacific/Kiritimati")]
)
def test_the_report_adds_up_the_ledger(local: Open, currency: str, timezone: str, by: str) -> None:
    client = local(orders=700, currency=currency, timezone=timezone)
    client.change("edit_order")
    client.change("cancel_order")
    client.change("delete_order")
    client.change("place_order", processed_at="2025-01-01T00:00:00Z")
    figures = expected(client, 10 if by == "day" else 7)
    assert read(sales_report(client.store, *EVER, by)) == figures
    assert len(figures) > (300 if by == "day" else 24)


def test_the_report_of_some_days_is_that_part_of_the_whole(local: Open) -> None:
    client = local(orders=800, currency="EUR", timezone="Europe/Berlin")
    whole = read(sales_report(client.store, *EVER, "day"))
    part = read(sales_report(client.store, date(2025, 11, 5), date(2025, 12, 24), "day"))
    assert part == {day: totals for day, totals in whole.items() if "2025-11-05" <= day <= "2025-12-24"}
    assert len(part) > 20


def test_a_late_refund_counts_on_the_day_it_happens(local: Open) -> None:
    client = local(orders=0, currency="EUR", timezone="Europe/Berlin", until=datetime(2026, 1, 1, tzinfo=UTC))
    client.set_clock("2026-01-31T23:30:00Z")
    (order,) = client.change("place_order", lines=[{"price": "11.90", "quantity": 2}], guest=True)["orders"]
    client.set_clock("2026-03-01T12:00:00Z")
    client.change("refund", order_id=order, partial=True)
    february, march = sales_report(client.store, *EVER, "month")
    assert (february["period"], february["orders"], february["units"]) == ("2026-02", 1, 2)
    assert (march["period"], march["orders"], march["units"]) == ("2026-03", 0, -1)
    assert Decimal(march["total_sales"]) == Decimal("-11.90")
    assert Decimal(february["net_sales"]) == Decimal("23.80") - Decimal(february["taxes"])


def test_the_report_is_served(sandbox: SandboxProcess) -> None:
    control = sandbox.control.store("tokyo")
    rows = control.report("2026-06-01", "2026-06-30", by="month")
    assert [row["period"] for row in rows] == ["2026-06"]
    assert rows[0].keys() == {"period", "orders", *MEASURES}
    url = f"{sandbox.url}/tokyo/sandbox/report"
    for asked in ({}, {"from": "June", "to": "July"}, {"from": "2026-06-01", "to": "2026-06-30", "by": "week"}):
        assert requests.get(url, params=asked, timeout=30).status_code == 422
