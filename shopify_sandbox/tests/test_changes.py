"""What can be done to a store, what of it moves, and that its ledger stays consistent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from inspect import signature
from typing import Any

import pytest

from shopify_sandbox.control import StoreControl
from shopify_sandbox.controls.changes import CHANGES, ChangeError
from shopify_sandbox.controls.changes.carts import carts_of
from shopify_sandbox.tests.client import LocalClient

Open = Callable[..., LocalClient]
Document = dict[str, Any]

NOW = "2026-07-15T12:00:00Z"
KIND_OF = {"orders": "Order", "customers": "Customer", "products": "Product", "checkouts": "AbandonedCheckout"}


@pytest.fixture
def acme(local: Open) -> LocalClient:
    client: LocalClient = local(currency="EUR", timezone="Europe/Berlin")
    client.set_clock(NOW)
    return client


def shop(bag: Document) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def sales_of(order: Document, reason: str) -> list[Document]:
    return [sale for a in order["agreements"] if a["reason"] == reason for sale in a["sales"]]


def total(sales: list[Document]) -> Decimal:
    return sum((shop(sale["totalAmount"]) for sale in sales), Decimal())


def place(client: LocalClient, **options: Any) -> Document:
    return client.order(client.change("place_order", **options)["orders"][0])


def number(document: Document) -> int:
    return int(document["id"].rpartition("/")[2])


def snapshot(client: LocalClient) -> dict[str, Document]:
    return {
        document["id"]: document
        for kind, table in client.store.tables.items()
        for row in range(len(table.alive))
        if table.alive[row] and (document := client.store.document(kind, row))
    }


OPTIONS: dict[str, Callable[[LocalClient], dict[str, Any]]] = {
    "merge_customers": lambda client: dict(
        zip(("winner_id", "loser_id"), client.store.tables["Customer"].columns["id"].tolist()[:2], strict=True)
    ),
    "order_cart": lambda client: {"cart": client.change("fill_cart")["carts"][0]},
}

OF_NO_OBJECT = {"fill_cart", "change_cart", "update_shop"}
"""Changes of what has no `updatedAt`."""


@pytest.mark.parametrize("change", [change for change in CHANGES if change not in OF_NO_OBJECT])
def test_exactly_what_a_change_says_it_touched_is_updated_now(acme: LocalClient, change: str) -> None:
    before = snapshot(acme)
    options = OPTIONS[change](acme) if change in OPTIONS else {}
    touched = acme.change(change, **options)
    after = snapshot(acme)
    said = {f"gid://shopify/{KIND_OF[kind]}/{n}" for kind, numbers in touched.items() for n in numbers}
    moved = {i for i in before.keys() | after.keys() if _updated(before, i) != _updated(after, i)}
    silently = {f"gid://shopify/Order/{n}" for n in touched["orders"]} if change == "merge_customers" else set()
    assert moved
    assert moved == said - silently
    assert {_updated(after, i) for i in moved} <= {NOW, None}


def _updated(documents: dict[str, Document], identity: str) -> str | None:
    return documents[identity]["updatedAt"] if identity in documents else None


@pytest.mark.parametrize("change", CHANGES)
def test_the_client_offers_every_change_with_all_its_options(change: str) -> None:
    offered = set(signature(getattr(StoreControl, change)).parameters) - {"self"}
    taken = set(signature(CHANGES[change]).parameters) - {"store"}
    assert offered == taken


def test_a_change_that_fails_leaves_no_trace(acme: LocalClient) -> None:
    before = snapshot(acme)
    with pytest.raises(ChangeError, match="No product has the variant nothing"):
        acme.change("place_order", new_customer=True, lines=[{"sku": "nothing"}])
    assert snapshot(acme) == before


# -- carts


def test_a_cart_tells_of_itself_and_its_order_names_it(acme: LocalClient) -> None:
    (cart,) = acme.change("fill_cart", lines=2)["carts"]
    token = carts_of(acme.store)[str(cart)]["token"]
    assert [line["quantity"] for line in carts_of(acme.store)[str(cart)]["line_items"]] == [1, 1]
    acme.change("change_cart", cart=cart, lines=0)
    assert carts_of(acme.store)[str(cart)]["line_items"] == []

    (order,) = acme.change("order_cart", cart=cart)["orders"]
    assert acme.order(order)["cartToken"] == token
    with pytest.raises(ChangeError, match="There is no cart 99"):
        acme.change("order_cart", cart=99)


# -- orders


def test_an_order_can_be_placed_line_by_line(acme: LocalClient) -> None:
    customer = acme.change("create_customer", email="ada@example.com")["customers"][0]
    lines = [
        {"price": "10.00", "quantity": 3, "discount": "2.50", "title": "Brötchen"},
        {"sku": "SKU-003-000"},
    ]
    order = place(
        acme, customer_id=customer, lines=lines, shipping="4.90", discount_codes=["A"], tags=["b"], fulfilled=True
    )
    first, second = order["lineItems"]
    assert (first["title"], first["quantity"], shop(first["originalUnitPriceSet"])) == ("Brötchen", 3, Decimal(10))
    assert second["sku"] == "SKU-003-000"
    assert order["customer"]["id"].endswith(f"/{customer}")
    assert (order["discountCodes"], order["tags"], order["createdAt"]) == (["A"], ["b"], NOW)
    assert (order["displayFinancialStatus"], order["displayFulfillmentStatus"]) == ("PAID", "FULFILLED")
    goods = Decimal("27.50") + shop(second["originalUnitPriceSet"])
    assert order["taxesIncluded"]
    assert shop(order["totalPriceSet"]) == goods + Decimal("4.90") == total(sales_of(order, "ORDER"))


def test_orders_of_guests_new_customers_tests_and_the_past(acme: LocalClient) -> None:
    assert place(acme, guest=True)["customer"] is None
    assert place(acme, new_customer=True)["customer"]
    assert place(acme, test=True)["test"]
    assert place(acme, paid=False)["displayFinancialStatus"] == "PENDING"
    past = place(acme, processed_at="2026-01-02T03:04:05")
    assert (past["processedAt"], past["createdAt"]) == ("2026-01-02T02:04:05Z", NOW)
    assert past["agreements"][0]["happenedAt"] == past["processedAt"]


def test_order_numbers_and_ids_go_on_rising(acme: LocalClient) -> None:
    one, two = place(acme), place(acme)
    assert number(one) < number(two)
    assert int(two["name"][1:]) == int(one["name"][1:]) + 1 == 1001 + 121


def test_a_line_added_to_an_order_is_a_sale_of_an_edit(acme: LocalClient) -> None:
    order = place(acme, lines=[{"price": "10"}])
    acme.change("edit_order", order_id=number(order), add={"price": "5", "quantity": 2})
    edited = acme.order(number(order))
    (sale,) = sales_of(edited, "ORDER_EDIT")
    assert (sale["actionType"], sale["quantity"], shop(sale["totalAmount"])) == ("ORDER", 2, Decimal(10))
    assert edited["edited"]
    assert shop(edited["currentTotalPriceSet"]) == shop(order["totalPriceSet"]) + 10
    assert edited["displayFinancialStatus"] == "PAID"


def test_a_line_removed_from_an_order_is_a_return_of_an_edit_and_paid_back(acme: LocalClient) -> None:
    order = place(acme, lines=[{"price": "10", "quantity": 2}, {"price": "7"}])
    acme.change("edit_order", order_id=number(order), remove=number(order["lineItems"][0]))
    edited = acme.order(number(order))
    (sale,) = sales_of(edited, "ORDER_EDIT")
    assert (sale["actionType"], sale["quantity"], shop(sale["totalAmount"])) == ("RETURN", -2, Decimal(-20))
    assert [line["currentQuantity"] for line in edited["lineItems"]] == [0, 1]
    assert shop(edited["totalRefundedSet"]) == 20
    assert shop(edited["currentTotalPriceSet"]) == 7


def test_quantities_can_be_raised_and_lowered(acme: LocalClient) -> None:
    order = place(acme, lines=[{"price": "10", "quantity": 2}])
    acme.change("edit_order", order_id=number(order), set_quantity={"quantity": 5})
    acme.change("edit_order", order_id=number(order), set_quantity={"quantity": 1})
    edited = acme.order(number(order))
    assert [sale["quantity"] for sale in sales_of(edited, "ORDER_EDIT")] == [3, -4]
    assert edited["lineItems"][0]["currentQuantity"] == 1
    assert shop(edited["currentTotalPriceSet"]) == 10


def test_a_later_discount_is_an_update_sale(acme: LocalClient) -> None:
    order = place(acme, lines=[{"price": "10", "quantity": 2}])
    acme.change("edit_order", order_id=number(order), discount={"amount": "3"})
    (sale,) = sales_of(acme.order(number(order)), "ORDER_EDIT")
    assert (sale["actionType"], shop(sale["totalAmount"])) == ("UPDATE", Decimal(-3))
    with pytest.raises(ValueError, match="not worth a discount"):
        acme.change("edit_order", order_id=number(order), discount={"amount": "17.01"})


def test_an_order_can_be_refunded_whole_or_in_part(acme: LocalClient) -> None:
    options: dict[str, Any] = {"lines": [{"price": "10", "quantity": 2}, {"price": "5"}], "shipping": "4"}
    whole, part, named = (place(acme, **options) for _ in range(3))
    acme.change("refund", order_id=number(whole))
    acme.change("refund", order_id=number(part), partial=True)
    line = {"line_id": number(named["lineItems"][0]), "quantity": 2}
    acme.change("refund", order_id=number(named), lines=[line], shipping=True)
    refunded = {name: acme.order(number(order)) for name, order in zip("wpn", (whole, part, named), strict=True)}
    assert [shop(o["totalRefundedSet"]) for o in refunded.values()] == [29, 10, 24]
    assert [total(sales_of(o, "REFUND")) for o in refunded.values()] == [-29, -10, -24]
    assert refunded["w"]["displayFinancialStatus"] == "REFUNDED"
    assert {sale["lineType"] for sale in sales_of(refunded["n"], "REFUND")} == {"PRODUCT", "SHIPPING"}


def test_everything_but_shipping_can_be_refunded(acme: LocalClient) -> None:
    order = place(acme, lines=[{"price": "10"}], shipping="4")
    acme.change("refund", order_id=number(order), shipping=False)
    assert shop(acme.order(number(order))["totalRefundedSet"]) == 10


def test_an_adjustment_makes_a_refund_smaller_or_larger(acme: LocalClient) -> None:
    line = {"price": "10", "quantity": 2}
    fee, goodwill = place(acme, lines=[line]), place(acme, lines=[line])
    acme.change("refund", order_id=number(fee), partial=True, adjustment="1.50")
    acme.change("refund", order_id=number(goodwill), adjustment="-2")
    for order, expected in ((fee, "8.5"), (goodwill, "2")):
        found = acme.order(number(order))
        assert shop(found["totalRefundedSet"]) == Decimal(expected)
        assert any(sale["lineType"] == "ADJUSTMENT" for sale in sales_of(found, "REFUND"))


def test_a_cancelled_order_is_returned_whole_and_not_cancelled_again(acme: LocalClient) -> None:
    paid, unpaid = place(acme, lines=[{"price": "10"}]), place(acme, lines=[{"price": "10"}], paid=False)
    for order, status, back in ((paid, "REFUNDED", 10), (unpaid, "VOIDED", 0)):
        acme.change("cancel_order", order_id=number(order), reason="FRAUD")
        found = acme.order(number(order))
        assert (found["cancelledAt"], found["cancelReason"]) == (NOW, "FRAUD")
        assert (found["displayFinancialStatus"], shop(found["totalRefundedSet"])) == (status, Decimal(back))
        assert total(sales_of(found, "REFUND")) == -10
        with pytest.raises(ChangeError, match="not in a state for this"):
            acme.change("cancel_order", order_id=number(order))


def test_a_deleted_order_is_gone_everywhere(acme: LocalClient) -> None:
    order = place(acme, new_customer=True)
    acme.change("delete_order", order_id=number(order))
    assert acme.data("query($id: ID!) { order(id: $id) { id } }", id=order["id"])["order"] is None
    assert acme.data("{ ordersCount { count } }")["ordersCount"]["count"] == 120
    customer = acme.store.find("Customer", number(order["customer"]))
    assert customer is not None
    assert (customer["numberOfOrders"], customer["updatedAt"]) == ("0", NOW)
    with pytest.raises(ChangeError, match="There is no Order"):
        acme.change("delete_order", order_id=number(order))


def test_an_update_changes_the_fields_it_names(acme: LocalClient) -> None:
    order = place(acme)
    acme.change("update_order", order_id=number(order), tags=["x"], source_name="pos", test=True)
    assert acme.order(number(order)) == order | {
        "tags": ["x"],
        "sourceName": "pos",
        "test": True,
        "transactions": [transaction | {"test": True} for transaction in order["transactions"]],
    }


# -- customers


def test_customers_can_be_created_changed_and_deleted(acme: LocalClient) -> None:
    (created,) = acme.change("create_customer", first_name="Ada", email="ada@example.com", country="GB")["customers"]
    acme.change("update_customer", customer_id=created, last_name="Lovelace", state="ENABLED")
    found = acme.store.find("Customer", created)
    assert found is not None
    assert (found["firstName"], found["lastName"], found["state"]) == ("Ada", "Lovelace", "ENABLED")
    assert found["defaultEmailAddress"]["emailAddress"] == "ada@example.com"
    assert found["defaultAddress"]["countryCodeV2"] == "GB"
    assert found["numberOfOrders"] == "0"
    acme.change("delete_customer", customer_id=created)
    assert acme.store.find("Customer", created) is None


def test_a_customer_with_orders_cannot_be_deleted(acme: LocalClient) -> None:
    order = place(acme, new_customer=True)
    with pytest.raises(ChangeError, match="has orders"):
        acme.change("delete_customer", customer_id=number(order["customer"]))


@pytest.mark.parametrize("touch_orders", [False, True])
def test_a_merge_moves_orders_and_checkouts_and_the_loser_is_gone(acme: LocalClient, touch_orders: bool) -> None:
    winner, loser = place(acme, new_customer=True), place(acme, new_customer=True)
    keep, gone = number(winner["customer"]), number(loser["customer"])
    (checkout,) = acme.change("start_checkout", customer_id=gone)["checkouts"]
    acme.set_clock("2026-07-16T00:00:00Z")
    touched = acme.change("merge_customers", winner_id=keep, loser_id=gone, touch_orders=touch_orders)
    assert touched == {"customers": [keep, gone], "orders": [number(loser)]}
    moved = acme.order(number(loser))
    assert moved["customer"]["id"] == winner["customer"]["id"]
    assert moved["updatedAt"] == ("2026-07-16T00:00:00Z" if touch_orders else NOW)
    assert acme.store.find("Customer", gone) is None
    merged, abandoned = acme.store.find("Customer", keep), acme.store.find("AbandonedCheckout", checkout)
    assert merged is not None
    assert abandoned is not None
    assert merged["numberOfOrders"] == "2"
    assert abandoned["customer"]["id"] == winner["customer"]["id"]


# -- products


def test_products_can_be_created_changed_and_deleted(acme: LocalClient) -> None:
    (created,) = acme.change("create_product", title="Füller", price="19.90", sku="F-1", vendor="Elm")["products"]
    acme.change("update_product", product_id=created, price="21", status="ARCHIVED", title="Füller 2")
    found = acme.store.find("Product", created)
    assert found is not None
    assert (found["title"], found["vendor"], found["status"]) == ("Füller 2", "Elm", "ARCHIVED")
    assert [(v["sku"], v["price"]) for v in found["variants"]] == [("F-1", "21.00")]
    order = place(acme, lines=[{"sku": "F-1"}])
    acme.change("delete_product", product_id=created)
    text = (
        "query($id: ID!) { order(id: $id) { lineItems(first: 1) { nodes { title product { id } variant { id } } } } }"
    )
    (line,) = acme.data(text, id=order["id"])["order"]["lineItems"]["nodes"]
    assert line == {"title": "Füller 2", "product": None, "variant": None}


# -- checkouts


def test_a_checkout_is_started_grows_and_becomes_an_order(acme: LocalClient) -> None:
    (started,) = acme.change("start_checkout", new_customer=True, lines=1)["checkouts"]
    acme.change("update_checkout", checkout_id=started)
    touched = acme.change("complete_checkout", checkout_id=started)
    checkout = acme.store.find("AbandonedCheckout", started)
    assert checkout is not None
    assert checkout["completedAt"] == NOW
    order = acme.order(touched["orders"][0])
    assert f"/ac/{order['checkoutToken']}/recover" in checkout["abandonedCheckoutUrl"]
    assert order["customer"] == checkout["customer"]
    assert [line["title"] for line in order["lineItems"]] == [line["title"] for line in checkout["lineItems"]]
    assert len(order["lineItems"]) == 2
    assert order["totalPriceSet"] == checkout["totalPriceSet"]
    with pytest.raises(ChangeError, match="not in a state for this"):
        acme.change("update_checkout", checkout_id=started)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        ("place_order", {"customer_id": 1}, "There is no Customer 1."),
        ("place_order", {"lines": [{"colour": "red"}]}, "A line has no colour"),
        ("place_order", {"lines": [{"price": "dear"}]}, "'dear' is no amount of money."),
        ("refund", {"order_id": 1}, "There is no Order 1."),
        ("cancel_order", {"reason": "MOOD"}, "'MOOD' is none of CUSTOMER"),
        ("update_product", {"status": "GONE"}, "'GONE' is none of ACTIVE"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    acme: LocalClient, change: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ChangeError, match=sentence):
        acme.change(change, **options)
