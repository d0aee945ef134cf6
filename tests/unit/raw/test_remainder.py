"""A row's payload is what its columns do not say: together they are the node as it was selected."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.raw.mapping.fields import remainder
from xeno_pipeline.raw.mapping.orders import map_line_item, map_sale

TYPED = frozenset(("id", "status"))
AMOUNTS = frozenset(("totalSet",))
MONEY = st.fixed_dictionaries({"amount": st.sampled_from(["0.0", "1.00", "12.5"]), "currencyCode": st.just("EUR")})
BAG = st.fixed_dictionaries(
    {"shopMoney": MONEY, "presentmentMoney": MONEY | st.just({"amount": "1", "currencyCode": "JPY"})}
)
NODES = st.fixed_dictionaries(
    {"id": st.text(), "status": st.text(), "totalSet": st.none() | BAG},
    optional={"taxSet": st.none() | BAG, "tags": st.lists(st.text()), "note": st.none() | st.text() | st.booleans()},
)


def money(amount: str, presented: str | None = None) -> dict[str, Any]:
    shop = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": shop, "presentmentMoney": {"amount": presented, "currencyCode": "USD"} if presented else shop}


def restored(kept: dict[str, Any], columns: dict[str, Any], amount: Any, selected: frozenset[str]) -> dict[str, Any]:
    """The node, from the payload and what columns hold."""
    node: dict[str, Any] = {**dict.fromkeys(selected), **kept, **columns}
    if node.get("taxSet"):
        node["taxSet"] = {"presentmentMoney": node["taxSet"]["shopMoney"], **node["taxSet"]}
    if amount is not None:
        node["totalSet"] = {"shopMoney": amount, "presentmentMoney": amount, **kept.get("totalSet", {})}
    return node


@given(NODES)
def test_a_node_can_be_told_from_its_payload_and_its_columns(node: dict[str, Any]) -> None:
    kept = remainder(node, TYPED, AMOUNTS)
    columns = {name: node[name] for name in TYPED}
    amount = node["totalSet"] and node["totalSet"]["shopMoney"]
    assert restored(kept, columns, amount, frozenset(node)) == node
    assert kept.keys().isdisjoint(TYPED)


def test_a_plain_sale_has_nothing_left_and_one_in_another_currency_its_amounts() -> None:
    sale = {
        "__typename": "ProductSale",
        "__parentId": "gid://shopify/OrderAgreement/1",
        "id": "gid://shopify/ProductSale/2",
        "actionType": "ORDER",
        "lineType": "PRODUCT",
        "lineItem": {"id": "gid://shopify/LineItem/3"},
        "quantity": 1,
        "totalAmount": money("10.00"),
        "totalDiscountAmountBeforeTaxes": money("0.0"),
        "totalTaxAmount": money("1.00"),
    }
    ((_, _, _, payload),) = map_sale(dict(sale))
    assert payload == {}
    ((_, _, _, payload),) = map_sale({**sale, "totalTaxAmount": money("1.00", "1.10")})
    assert payload == {"totalTaxAmount": {"presentmentMoney": {"amount": "1.10", "currencyCode": "USD"}}}


def test_a_line_item_keeps_the_fields_that_no_column_has() -> None:
    line = {
        "__typename": "LineItem",
        "__parentId": "gid://shopify/Order/1",
        "id": "gid://shopify/LineItem/2",
        **dict.fromkeys(("product", "variant", "sku", "variantTitle")),
        "title": "A lamp",
        "vendor": "Lamps",
        "quantity": 1,
        "currentQuantity": 1,
        "isGiftCard": False,
        "taxable": False,
        "originalUnitPriceSet": money("10.00"),
        "totalDiscountSet": money("2.00"),
    }
    ((_, _, _, payload),) = map_line_item(line)
    assert payload == {
        "vendor": "Lamps",
        "taxable": False,
        "totalDiscountSet": {"shopMoney": {"amount": "2.00", "currencyCode": "EUR"}},
    }
