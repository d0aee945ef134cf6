"""An order and its ledger agree in every currency: what the API shows adds up to the minor unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.store import Store

ORDERS = 2000
UNTIL = datetime(2026, 6, 30, tzinfo=UTC)
SPECS = [
    StoreSpec("dollars", orders=ORDERS, currency="USD", timezone="America/New_York", until=UNTIL),
    StoreSpec("euros", orders=ORDERS, currency="EUR", timezone="Europe/Berlin", until=UNTIL),
    StoreSpec("yen", orders=ORDERS, currency="JPY", timezone="Asia/Tokyo", until=UNTIL),
    StoreSpec("yen-before-tax", orders=ORDERS, currency="JPY", taxes_included=False, until=UNTIL),
    StoreSpec("dinars", orders=ORDERS, currency="KWD", timezone="Asia/Kuwait", until=UNTIL),
    StoreSpec("bahrain", orders=ORDERS, currency="BHD", taxes_included=True, until=UNTIL),
]
Document = dict[str, Any]


@pytest.fixture(scope="module", params=SPECS, ids=[spec.handle for spec in SPECS])
def orders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Document]]:
    store = Store(request.param, tmp_path_factory.mktemp("store"))
    yield [store.document("Order", row) for row in range(ORDERS)]
    store.close()


def money(bag: Document, currency: str = "shopMoney") -> Decimal:
    return Decimal(bag[currency]["amount"])


def sales(order: Document) -> list[Document]:
    return [sale for agreement in order["agreements"] for sale in agreement["sales"]]


def bags(content: Any) -> Iterator[Document]:
    """Every amount of money in a document."""
    if isinstance(content, list):
        for element in content:
            yield from bags(element)
    elif isinstance(content, dict):
        if "amount" in content:
            yield content
        else:
            yield from bags(list(content.values()))


@pytest.mark.parametrize("currency", ["shopMoney", "presentmentMoney"])
def test_sales_add_up_to_the_totals_of_their_order(orders: list[Document], currency: str) -> None:
    for order in orders:
        sold = [s for s in sales(order) if s["actionType"] != "RETURN"]
        assert sum(money(s["totalAmount"], currency) for s in sales(order)) == money(
            order["currentTotalPriceSet"], currency
        )
        assert sum(money(s["totalAmount"], currency) for s in sold) == money(order["totalPriceSet"], currency)
        assert sum(money(s["totalTaxAmount"], currency) for s in sold) == money(order["totalTaxSet"], currency)


def test_amounts_are_whole_in_the_minor_unit_of_their_currency(orders: list[Document]) -> None:
    places = {"JPY": 0, "KWD": 3, "BHD": 3}
    for order in orders:
        figures = [sales(order), order["transactions"], order["refunds"]]
        for amount in bags([figures, [value for name, value in order.items() if name.endswith("Set")]]):
            _, _, decimals = amount["amount"].partition(".")
            assert decimals
            assert len(decimals.rstrip("0")) <= places.get(amount["currencyCode"], 2), amount


def test_a_line_is_sold_at_its_price_less_its_discount(orders: list[Document]) -> None:
    for order in orders:
        for sale in order["agreements"][0]["sales"]:
            if "lineItem" not in sale:
                continue
            assert sale["quantity"] > 0
            listed = money(sale["lineItem"]["originalUnitPriceSet"]) * sale["quantity"]
            paid, tax = money(sale["totalAmount"]), money(sale["totalTaxAmount"])
            discount = money(sale["totalDiscountAmountBeforeTaxes"])
            assert discount >= 0
            if not order["taxesIncluded"]:
                assert paid - tax == listed - discount
            else:
                # The tax inside the discount is not shown, so only bounds can be told from outside.
                assert listed - discount * Decimal("1.3") - 1 <= paid <= listed - discount


def test_what_is_returned_was_sold_before(orders: list[Document]) -> None:
    for order in orders:
        worth: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for sale in sales(order):
            returned = sale["actionType"] == "RETURN"
            thing = worth[sale["lineItem"]["id"] if "lineItem" in sale else sale["lineType"]]
            for name in ("totalAmount", "totalTaxAmount", "totalDiscountAmountBeforeTaxes"):
                amount = money(sale[name])
                if sale["lineType"] != "ADJUSTMENT":
                    assert (amount <= 0) if returned else (amount >= 0 or sale["actionType"] == "UPDATE")
                    thing[name] += amount
                    assert thing[name] >= 0, (order["id"], sale)
            if sale["actionType"] != "UPDATE":
                thing["units"] += sale["quantity"] or 0
        for line in order["lineItems"]:
            assert worth[line["id"]]["units"] == line["currentQuantity"]
            assert 0 <= line["currentQuantity"] <= line["quantity"]
            if line["currentQuantity"] == 0:
                assert set(worth[line["id"]].values()) == {0}


def test_the_first_agreement_is_the_order_itself(orders: list[Document]) -> None:
    for order in orders:
        first, *later = order["agreements"]
        assert (first["reason"], first["happenedAt"]) == ("ORDER", order["processedAt"])
        assert all(agreement["reason"] != "ORDER" for agreement in later)
        assert [a["happenedAt"] for a in later] == sorted(a["happenedAt"] for a in later)
        assert all(agreement["happenedAt"] <= order["updatedAt"] for agreement in later)


def test_refunds_agreements_and_payments_tell_the_same_story(orders: list[Document]) -> None:
    for order in orders:
        refunds = [refund["id"] for refund in order["refunds"]]
        assert [a["refund"]["id"] for a in order["agreements"] if "refund" in a] == refunds
        returned = sum(money(refund["totalRefundedSet"]) for refund in order["refunds"])
        successful = [t for t in order["transactions"] if t["status"] == "SUCCESS"]
        assert returned == money(order["totalRefundedSet"])
        assert returned == sum(money(t["amountSet"]) for t in successful if t["kind"] == "REFUND")
        received = sum(money(t["amountSet"]) for t in successful if t["kind"] in ("SALE", "CAPTURE"))
        assert returned <= received
        for transaction in order["transactions"]:
            parent = transaction["parentTransaction"]
            assert parent is None or parent["id"] in {t["id"] for t in order["transactions"]}


def test_the_financial_status_follows_from_the_payments(orders: list[Document]) -> None:
    for order in orders:
        status = order["displayFinancialStatus"]
        successful = [t for t in order["transactions"] if t["status"] == "SUCCESS"]
        received = sum(money(t["amountSet"]) for t in successful if t["kind"] in ("SALE", "CAPTURE"))
        returned = money(order["totalRefundedSet"])
        due = money(order["currentTotalPriceSet"])
        match status:
            case "PAID":
                assert received == due
                assert not returned
            case "PARTIALLY_PAID":
                assert 0 < received < due
            case "PARTIALLY_REFUNDED":
                assert 0 < returned < received
            case "REFUNDED":
                assert received == returned > 0
            case "VOIDED":
                assert order["cancelledAt"]
                assert not received
            case "PENDING" | "AUTHORIZED":
                assert not received
                assert due > 0
            case _:
                assert status is None
                assert order["processedAt"] < order["createdAt"]


def test_a_cancelled_order_keeps_its_sales_and_is_worth_nothing(orders: list[Document]) -> None:
    cancelled = [order for order in orders if order["cancelledAt"]]
    assert len(cancelled) > ORDERS // 100
    for order in cancelled:
        assert order["cancelReason"]
        assert money(order["currentTotalPriceSet"]) == 0
        assert sum(1 for sale in sales(order) if sale["actionType"] == "ORDER") >= len(order["lineItems"])
        assert not any(line["currentQuantity"] for line in order["lineItems"])


def test_numbers_of_sales_repeat_between_kinds_but_not_within_one(orders: list[Document]) -> None:
    ids = [sale["id"] for order in orders for sale in sales(order)]
    assert len(set(ids)) == len(ids)
    agreements = [agreement["id"] for order in orders for agreement in order["agreements"]]
    assert len(set(agreements)) == len(agreements)
    assert {i.rpartition("/")[2] for i in ids} & {i.rpartition("/")[2] for i in agreements}
