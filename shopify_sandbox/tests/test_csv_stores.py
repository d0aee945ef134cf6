"""Stores read from a file of order lines."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shopify_sandbox.order_file.reader import CsvError
from shopify_sandbox.tests.client import LocalClient, opened

Document = dict[str, Any]
HEADER = "order_id,line_no,sku,description,quantity,unit_price,customer_id,ordered_at,country"
LINES = [
    "536365,1,A1,WHITE MUG,6,2.55,17850,2010-12-01 08:26:00,United Kingdom",
    "536365,2,B2,BLUE MUG,2,3.39,17850,2010-12-01 08:26:00,United Kingdom",
    "536366,1,A1,White mug,1,2.60,13047,2010-12-01 08:28:00,EIRE",
    "536366,2,A1,White mug,1,2.60,13047,2010-12-01 08:27:00,EIRE",
    "C-7,1,,Postage,1,0.001,,2011-07-02 23:30:00,Unspecified",
]
Serve = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    write(path, LINES)
    return path


def write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join([HEADER, *lines]) + "\n")


def serve(file: Path) -> Any:
    """The store, over the same state each time."""
    return opened(file.parent / "state", "retail", orders_csv=file, currency="GBP", timezone="Europe/London")


def documents(client: LocalClient, kind: str) -> dict[str, Document]:
    table = client.store.tables[kind]
    found = [client.store.document(kind, row) for row in range(len(table.alive)) if table.alive[row]]
    return {document["id"].rpartition("/")[2]: document for document in found}


def test_orders_keep_their_numbers_times_and_lines(file: Path) -> None:
    with serve(file) as client:
        orders = documents(client, "Order")
    order = orders["536365"]
    assert (order["name"], order["createdAt"]) == ("#536365", "2010-12-01T08:26:00Z")
    assert order["createdAt"] == order["processedAt"] == order["updatedAt"] == order["agreements"][0]["happenedAt"]
    assert (order["displayFinancialStatus"], order["displayFulfillmentStatus"]) == ("PAID", "FULFILLED")
    assert order["currencyCode"] == "GBP"
    assert [(line["sku"], line["title"], line["quantity"]) for line in order["lineItems"]] == [
        ("A1", "WHITE MUG", 6),
        ("B2", "BLUE MUG", 2),
    ]
    assert order["totalPriceSet"]["shopMoney"] == {"amount": "22.08", "currencyCode": "GBP"}
    assert Decimal(order["totalTaxSet"]["shopMoney"]["amount"]) == 0
    assert order["customer"]["id"] == "gid://shopify/Customer/17850"
    assert order["shippingAddress"]["countryCodeV2"] == "GB"


def test_an_order_is_placed_at_its_earliest_line_in_the_zone_of_the_shop(file: Path) -> None:
    with serve(file) as client:
        orders = documents(client, "Order")
    assert orders["536366"]["createdAt"] == "2010-12-01T08:27:00Z"
    guest = next(order for order in orders.values() if order["name"] == "#C-7")
    assert guest["createdAt"] == "2011-07-02T22:30:00Z"
    assert guest["customer"] is None
    assert guest["shippingAddress"]["countryCodeV2"] is None
    assert guest["lineItems"][0]["product"] is None


def test_products_are_skus_with_their_most_frequent_description(file: Path) -> None:
    with serve(file) as client:
        products = documents(client, "Product")
    assert [(p["title"], [v["sku"] for v in p["variants"]]) for p in products.values()] == [
        ("White mug", ["A1"]),
        ("BLUE MUG", ["B2"]),
    ]


def test_amounts_are_rounded_by_order_and_every_sale_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    lines = ["1,1,S,Thing,1,0.004", "1,2,S,Thing,1,0.004", "1,3,S,Thing,3,2.345"]
    write(file, [f"{line},5,2011-01-01 10:00:00,France" for line in lines])
    with serve(file) as client:
        (order,) = documents(client, "Order").values()
    sales = [Decimal(sale["totalAmount"]["shopMoney"]["amount"]) for sale in order["agreements"][0]["sales"]]
    assert sum(sales) == Decimal("7.04") == Decimal(order["totalPriceSet"]["shopMoney"]["amount"])
    assert all(amount == round(amount, 2) for amount in sales)
    prices = [line["originalUnitPriceSet"]["shopMoney"]["amount"] for line in order["lineItems"]]
    assert prices == ["0.004", "0.004", "2.345"]


def test_a_file_may_be_gzipped_and_have_its_columns_in_any_order(file: Path) -> None:
    with serve(file) as client:
        plain = documents(client, "Order")
    rows = [line.split(",")[::-1] for line in [HEADER, *LINES]]
    file.with_name("other").mkdir()
    packed = file.with_name("other") / "orders.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(",".join(row) for row in rows).encode()))
    with serve(packed) as client:
        assert documents(client, "Order") == plain


def test_a_restart_on_the_same_file_changes_nothing(file: Path) -> None:
    with serve(file) as client:
        before = [documents(client, kind) for kind in ("Order", "Customer", "Product")]
    file.touch()
    with serve(file) as client:
        assert [documents(client, kind) for kind in ("Order", "Customer", "Product")] == before


def test_editing_the_file_is_an_honest_way_to_change_the_store(file: Path) -> None:
    with serve(file) as client:
        before = {kind: documents(client, kind) for kind in ("Order", "Customer", "Product")}
    changed, new = LINES[0].replace(",6,", ",7,"), "600000,1,C3,Tray,1,9.99,13047,2011-08-01 09:00:00,France"
    write(file, [changed, LINES[1], *LINES[2:4], new])
    with serve(file) as client:
        after = {kind: documents(client, kind) for kind in ("Order", "Customer", "Product")}
        began = client.store.until
        gone = next(number for number in before["Order"] if number not in after["Order"])
        assert client.store.find("Order", int(gone)) is None
    assert before["Order"][gone]["name"] == "#C-7"

    def updated(kind: str) -> set[str]:
        return {n for n, found in after[kind].items() if found["updatedAt"] != before[kind].get(n, {}).get("updatedAt")}

    assert updated("Order") == {"536365", "600000"}
    assert updated("Customer") == {"17850", "13047"}
    assert {after["Product"][number]["title"] for number in updated("Product")} == {"Tray"}
    assert after["Order"]["536365"]["createdAt"] == before["Order"]["536365"]["createdAt"]
    assert client.store.tables["Order"].columns["updated_at"].max() >= began
    ids = {found["variants"][0]["sku"]: number for number, found in before["Product"].items()}
    assert {found["variants"][0]["sku"]: number for number, found in after["Product"].items()}.items() >= ids.items()


def test_changes_by_the_controls_outlive_a_restart_but_not_an_edit_of_their_order(file: Path) -> None:
    with serve(file) as client:
        client.change("update_order", order_id=536365, tags=["kept"])
        client.change("update_order", order_id=536366, tags=["lost"])
    file.touch()
    with serve(file) as client:
        orders = documents(client, "Order")
        assert (orders["536365"]["tags"], orders["536366"]["tags"]) == (["kept"], ["lost"])
    write(file, [*LINES[:2], LINES[2].replace("2.60", "2.70"), *LINES[3:]])
    with serve(file) as client:
        orders = documents(client, "Order")
        assert (orders["536365"]["tags"], orders["536366"]["tags"]) == (["kept"], [])


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([LINES[0], LINES[0]], "line 3: order 536365 has line 1 twice."),
        (["1,1,A,x,six,1.00,5,2011-01-01 10:00:00,France"], "line 2: quantity 'six' is no whole number from 1 on."),
        (["1,1,A,x,-1,1.00,5,2011-01-01 10:00:00,France"], "line 2: quantity '-1' is no whole number from 1 on."),
        (["1,1,A,x,1,dear,5,2011-01-01 10:00:00,France"], "line 2: unit_price 'dear' is no price"),
        (["1,1,A,x,1,1.00,5,yesterday,France"], "line 2: ordered_at 'yesterday' is no time"),
        (["1,1,A,x,1"], "line 2: it has only 5 fields."),
        ([",1,A,x,1,1.00,5,2011-01-01 10:00:00,France"], "line 2: order_id is empty."),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence_that_names_the_line(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    file = tmp_path / "orders.csv"
    write(file, lines)
    with pytest.raises(CsvError, match=re.escape(f"{file}, {sentence}")), serve(file):
        pass


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order_id,line_no\n1,1\n")
    with pytest.raises(CsvError, match="line 1: the column sku is missing"), serve(file):
        pass


def test_an_empty_file_is_a_store_without_orders(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    write(file, [])
    with serve(file) as client:
        assert client.data("{ ordersCount { count } }") == {"ordersCount": {"count": 0}}
