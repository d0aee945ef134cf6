"""Generated stores: the same for the same spec, and as varied as real ones."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shopify_sandbox.generator.plan import Plan
from shopify_sandbox.spec import StoreSpec, demo_specs
from shopify_sandbox.state.store import Store

ORDERS = 4000
UNTIL = datetime(2026, 6, 30, tzinfo=UTC)
SPEC = StoreSpec("varied", orders=ORDERS, currency="EUR", timezone="Europe/Berlin", until=UNTIL)
KINDS = ("Order", "Customer", "Product", "AbandonedCheckout")
Documents = dict[str, list[dict[str, Any]]]


def read(spec: StoreSpec, folder: Path) -> Documents:
    store = Store(spec, folder)
    found = {kind: [store.document(kind, row) for row in range(len(store.tables[kind]))] for kind in KINDS}
    store.close()
    return found


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    return read(SPEC, tmp_path_factory.mktemp("varied"))


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(ZoneInfo("Europe/Berlin"))


def test_the_same_spec_makes_the_same_store(tmp_path: Path) -> None:
    spec = replace(SPEC, orders=200)
    once = read(spec, tmp_path / "once")
    assert read(spec, tmp_path / "again") == once
    assert read(replace(spec, seed=1), tmp_path / "other")["Order"] != once["Order"]
    assert read(replace(spec, handle="another"), tmp_path / "another")["Order"] != once["Order"]


def test_a_store_without_orders_is_a_store(tmp_path: Path) -> None:
    nothing = read(replace(SPEC, orders=0), tmp_path)
    assert not nothing["Order"]
    assert not nothing["Customer"]
    assert nothing["Product"]


def test_history_lasts_two_years_grows_and_ends_when_it_should(varied: Documents) -> None:
    created = [local(order["createdAt"]) for order in varied["Order"]]
    assert created == sorted(created)
    assert (created[-1] - created[0]).days > 800
    assert max(datetime.fromisoformat(o["updatedAt"]) for kind in KINDS for o in varied[kind]) <= UNTIL
    years = Counter((created[-1] - moment).days // 365 for moment in created)
    assert years[0] > 1.2 * years[1]
    by_weekday = Counter(moment.weekday() for moment in created)
    assert by_weekday[6] > by_weekday[1]
    by_hour = Counter(moment.hour for moment in created)
    assert by_hour[20] > 5 * by_hour[4] > 0
    midnight = Counter(moment.strftime("%H:%M:%S") for moment in created)
    assert midnight["00:00:00"] > 0
    assert midnight["23:59:59"] > 0


def test_orders_of_the_last_day_do_not_pile_up_where_it_ends() -> None:
    until = int(datetime(2026, 6, 30, 6, tzinfo=UTC).timestamp())
    created = Plan.make(100_000, [1], ZoneInfo("UTC"), until).created
    today = created[created >= until - 6 * 3600]
    assert len(today) > 30
    assert (today >= until - 60).sum() < 3


def test_customers_repeat_some_are_guests_and_some_never_bought(varied: Documents) -> None:
    orders = Counter(order["customer"] and order["customer"]["id"] for order in varied["Order"])
    assert 0.06 < orders.pop(None) / ORDERS < 0.10
    customers = varied["Customer"]
    assert orders.keys() <= {customer["id"] for customer in customers}
    assert 0.09 < share([customer["id"] not in orders for customer in customers]) < 0.15
    assert max(orders.values()) > 15
    assert 0.6 < share([count == 1 for count in orders.values()]) < 0.75
    first_order = {o["customer"]["id"]: o["createdAt"] for o in reversed(varied["Order"]) if o["customer"]}
    assert all(c["createdAt"] <= first_order.get(c["id"], c["createdAt"]) for c in customers)
    counted = Counter(o["customer"]["id"] for o in varied["Order"] if o["customer"] and not o["test"])
    assert all(int(customer["numberOfOrders"]) == counted[customer["id"]] for customer in customers)


def test_customers_come_until_the_end_come_back_at_rates_of_their_own_and_stop(varied: Documents) -> None:
    placed: dict[str, list[datetime]] = {}
    for order in varied["Order"]:
        if order["customer"]:
            placed.setdefault(order["customer"]["id"], []).append(datetime.fromisoformat(order["createdAt"]))
    last_month, last_half_year = UNTIL - timedelta(days=30), UNTIL - timedelta(days=180)
    newcomers = [times for times in placed.values() if times[0] > last_month]
    recent = [times for times in placed.values() if times[-1] > last_month]
    assert 0.3 < len(newcomers) / len(recent) < 0.7
    assert share([len(times) == 1 for times in newcomers]) > share([len(times) == 1 for times in recent]) + 0.2

    regulars = [times for times in placed.values() if len(times) >= 5]
    assert 0.2 < share([times[-1] < last_half_year for times in regulars]) < 0.6, "some regulars are lost"
    gaps = sorted((times[-1] - times[0]) / (len(times) - 1) for times in regulars)
    assert gaps[len(gaps) * 9 // 10] > 4 * gaps[len(gaps) // 10], "some come four times as often as others"


def test_customers_have_the_gaps_of_real_ones(varied: Documents) -> None:
    customers = varied["Customer"]
    for name in ("defaultEmailAddress", "defaultPhoneNumber", "firstName", "lastName", "defaultAddress"):
        assert 0.01 < share([customer[name] is None for customer in customers]) < 0.9, name
    assert any(customer["statistics"]["rfmGroup"] is None for customer in customers)
    assert any(not (customer["firstName"] or "a").isascii() for customer in customers)


def test_everything_that_can_become_of_an_order_does(varied: Documents) -> None:
    orders = varied["Order"]
    sales = [sale for order in orders for agreement in order["agreements"] for sale in agreement["sales"]]
    assert {agreement["__typename"] for order in orders for agreement in order["agreements"]} == {
        "OrderAgreement",
        "OrderEditAgreement",
        "RefundAgreement",
        "ReturnAgreement",
    }
    assert {sale["__typename"] for sale in sales} == {
        "ProductSale",
        "GiftCardSale",
        "TipSale",
        "ShippingLineSale",
        "DutySale",
        "AdditionalFeeSale",
        "FeeSale",
        "AdjustmentSale",
    }
    assert {sale["actionType"] for sale in sales} == {"ORDER", "RETURN", "UPDATE"}
    assert {order["displayFinancialStatus"] for order in orders} == {
        "PAID",
        "PENDING",
        "AUTHORIZED",
        "PARTIALLY_PAID",
        "PARTIALLY_REFUNDED",
        "REFUNDED",
        "VOIDED",
        None,
    }
    assert {t["kind"] for o in orders for t in o["transactions"]} == {
        "SALE",
        "AUTHORIZATION",
        "CAPTURE",
        "VOID",
        "REFUND",
    }
    lines = Counter(len(order["lineItems"]) for order in orders)
    assert lines[1] > lines[2] > lines[4] > 0
    assert sum(count for size, count in lines.items() if size >= 300) in (1, 2)
    assert 0.002 < share([order["test"] for order in orders]) < 0.01
    assert 0 < share([order["processedAt"] != order["createdAt"] for order in orders]) < 0.01
    assert any(float(order["totalPriceSet"]["shopMoney"]["amount"]) == 0 for order in orders)
    assert 0.01 < share([o["presentmentCurrencyCode"] != "EUR" for o in orders]) < 0.2
    weeks_later = [
        (local(a["happenedAt"]) - local(o["processedAt"])).days
        for o in orders
        for a in o["agreements"]
        if "refund" in a
    ]
    assert max(weeks_later) > 60
    assert any(refund["createdAt"] is None for order in orders for refund in order["refunds"])


def test_an_exchange_is_a_return_and_a_sale_in_one_agreement(varied: Documents) -> None:
    exchanges = [a for o in varied["Order"] for a in o["agreements"] if a["__typename"] == "ReturnAgreement"]
    assert exchanges
    assert all([sale["actionType"] for sale in a["sales"]] == ["RETURN", "ORDER"] for a in exchanges)


def test_products_are_archived_deleted_unnumbered_and_oddly_named(varied: Documents) -> None:
    products = varied["Product"]
    assert {product["status"] for product in products} == {"ACTIVE", "ARCHIVED", "DRAFT"}
    assert sum(len(product["variants"]) > 100 for product in products) == 2
    assert any(variant["sku"] is None for product in products for variant in product["variants"])
    titles = "".join(product["title"] for product in products)
    assert all(odd in titles for odd in ('"', "'", "\\", "\t", "🎁", "ペン", "ø"))
    lines = [line for order in varied["Order"] for line in order["lineItems"]]
    assert 0 < share([line["product"] is None for line in lines]) < 0.2
    ids = {product["id"] for product in products}
    variants = {variant["id"] for product in products for variant in product["variants"]}
    assert all(line["product"]["id"] in ids for line in lines if line["product"])
    assert all(line["variant"]["id"] in variants for line in lines if line["variant"])


def test_a_completed_checkout_is_linked_to_its_order_by_token(varied: Documents) -> None:
    tokens = {order["checkoutToken"]: order for order in varied["Order"]}
    completed = 0
    for checkout in varied["AbandonedCheckout"]:
        token = checkout["abandonedCheckoutUrl"].partition("/recover")[0].rpartition("/")[2]
        assert checkout["abandonedCheckoutUrl"].startswith("https://varied.myshopify.com/")
        if checkout["completedAt"]:
            completed += 1
            order = tokens.get(token)
            assert order is None or order["customer"] == checkout["customer"]
        else:
            assert token not in tokens
    assert 0.15 < completed / len(varied["AbandonedCheckout"]) < 0.35


def test_the_demo_has_stores_in_three_zones_and_currencies() -> None:
    specs = demo_specs()
    assert len({spec.timezone for spec in specs}) == len({spec.currency for spec in specs}) == 3
    assert all(spec.orders is not None and 5000 <= spec.orders <= 8000 for spec in specs)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"handle": "No Handle"}, "'No Handle' is no store handle: lower-case letters, digits and hyphens only."),
        ({"orders": None}, "needs either a number of orders to generate, buyers, or a file of orders"),
        ({"orders": -1}, "can have 0 to 10,000,000 generated orders, not -1"),
        ({"timezone": "Berlin"}, "'Berlin' is no time zone"),
        ({"currency": "euro"}, "'euro' is no currency code"),
        ({"plan": "Basic"}, "'Basic' is no plan"),
        ({"until": datetime(2026, 1, 1)}, "needs a time zone"),  # noqa: DTZ001
    ],
)
def test_a_spec_that_cannot_be_is_refused_in_a_sentence(facts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        StoreSpec(**{"handle": "a", "orders": 1, **facts})
