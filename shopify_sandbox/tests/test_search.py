"""The search syntax of `query:` arguments, and what each filter finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shopify_sandbox.search.selection import UnsupportedError
from shopify_sandbox.search.syntax import All, Not, SearchSyntaxError, Some, Term, parse_search
from shopify_sandbox.tests.client import LocalClient, opened

Open = Callable[..., LocalClient]
Document = dict[str, Any]
BERLIN = ZoneInfo("Europe/Berlin")


def term(field: str, value: str, operator: str = ":") -> Term:
    return Term(field, operator, value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None),
        ("   ", None),
        ("tag:a", term("tag", "a")),
        ("tag: a", term("tag", "a")),
        ("tag:'a b'", term("tag", "a b")),
        ('tag:"a \\" b"', term("tag", 'a " b')),
        ("id:>=5", term("id", "5", ">=")),
        ("updated_at:>'2026-01-01T00:00:00Z'", term("updated_at", "2026-01-01T00:00:00Z", ">")),
        ("tag:a test:true", All((term("tag", "a"), term("test", "true")))),
        ("tag:a AND test:true", All((term("tag", "a"), term("test", "true")))),
        ("tag:a OR tag:b tag:c", Some((term("tag", "a"), All((term("tag", "b"), term("tag", "c")))))),
        ("(tag:a OR tag:b) tag:c", All((Some((term("tag", "a"), term("tag", "b"))), term("tag", "c")))),
        ("-tag:a", Not(term("tag", "a"))),
        ("NOT (tag:a tag:b)", Not(All((term("tag", "a"), term("tag", "b"))))),
        ("created_at:2026-01-01..2026-02-01", term("created_at", "2026-01-01..2026-02-01")),
        ("status:open,closed", term("status", "open,closed")),
        ("free", Term(None, ":", "free")),
    ],
)
def test_a_search_is_read(text: str, meaning: Any) -> None:
    assert parse_search(text) == meaning


@pytest.mark.parametrize("text", ["(tag:a", "tag:a)", "tag:a OR", "NOT", 'tag:"a', "AND tag:a"])
def test_a_search_that_cannot_be_read_is_no_search(text: str) -> None:
    with pytest.raises(SearchSyntaxError):
        parse_search(text)


def test_an_unreadable_search_is_an_error_of_the_api_and_of_bulk(local: Open) -> None:
    client = local()
    assert "Invalid search query" in client.error('{ orders(first: 1, query: "(tag:a") { nodes { id } } }')["message"]
    text = 'mutation { bulkOperationRunQuery(query: "%s", groupObjects: false) { userErrors { message } } }'
    query = r"{ orders(query: \"(tag:a\") { edges { node { id } } } }"
    (problem,) = client.data(text % query)["bulkOperationRunQuery"]["userErrors"]
    assert problem["message"].startswith("Invalid bulk query: ")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalClient, list[Document]]]:
    """A store of 700 orders that no test changes, and the orders."""
    folder = tmp_path_factory.mktemp("searched")
    with opened(folder, "searched", orders=700, currency="EUR", timezone="Europe/Berlin") as client:
        yield client, [client.store.document("Order", row) for row in range(700)]


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shop_day(order: Document, name: str) -> str:
    return stamp(order[name]).astimezone(BERLIN).date().isoformat()


def amount(order: Document) -> float:
    return float(order["currentTotalPriceSet"]["shopMoney"]["amount"])


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("created_at:>=2025-06-01T00:00:00Z", lambda o: o["createdAt"] >= "2025-06-01T00:00:00Z"),
        ("updated_at:>'2026-01-01T00:00:00+02:00'", lambda o: o["updatedAt"] > "2025-12-31T22:00:00Z"),
        ("updated_at:<2026-01-01T00:00:00Z", lambda o: o["updatedAt"] < "2026-01-01T00:00:00Z"),
        ("created_at:>=2025-06-01T00:00:00", lambda o: stamp(o["createdAt"]) >= datetime(2025, 6, 1, tzinfo=BERLIN)),
        ("created_at:2025-11-28", lambda o: shop_day(o, "createdAt") == "2025-11-28"),
        ("created_at:<=2025-11-28", lambda o: shop_day(o, "createdAt") <= "2025-11-28"),
        ("created_at:>2025-11-28", lambda o: shop_day(o, "createdAt") > "2025-11-28"),
        ("processed_at:2025-11", lambda o: shop_day(o, "processedAt")[:7] == "2025-11"),
        ("created_at:2025-03-01..2025-03-31", lambda o: "2025-03-01" <= shop_day(o, "createdAt") <= "2025-03-31"),
        ("test:true", lambda o: o["test"]),
        ("NOT test:true tag:gift", lambda o: not o["test"] and "gift" in o["tags"]),
        ("tag:GIFT,priority", lambda o: {"gift", "priority"} & set(o["tags"])),
        ("tag_not:gift", lambda o: "gift" not in o["tags"]),
        ("tag:r*", lambda o: "réclamation" in o["tags"]),
        ("financial_status:refunded", lambda o: o["displayFinancialStatus"] == "REFUNDED"),
        (
            "financial_status:paid,pending",
            lambda o: o["displayFinancialStatus"] in ("PAID", "PENDING"),
        ),
        ("fulfillment_status:unshipped", lambda o: o["displayFulfillmentStatus"] == "UNFULFILLED"),
        ("status:cancelled", lambda o: o["cancelledAt"]),
        ("status:any", lambda o: True),
        ("-status:cancelled", lambda o: not o["cancelledAt"]),
        ("name:#1042", lambda o: o["name"] == "#1042"),
        ("name:1042 OR name:1043", lambda o: o["name"] in ("#1042", "#1043")),
        ("source_name:pos", lambda o: o["sourceName"] == "pos"),
        ("gateway:paypal", lambda o: any(t["gateway"] == "paypal" for t in o["transactions"])),
        ("discount_code:'BLACK FRIDAY'", lambda o: o["discountCodes"][:1] == ["BLACK FRIDAY"]),
        ("current_total_price:>=200", lambda o: amount(o) >= 200),
        ("sku:SKU-008-000", lambda o: any(line["sku"] == "SKU-008-000" for line in o["lineItems"])),
    ],
)
def test_an_order_filter_finds_what_it_says(
    searched: tuple[LocalClient, list[Document]], query: str, wanted: Callable[[Document], bool]
) -> None:
    client, every = searched
    client.ticker.seconds += 60
    found = client.ask("query($q: String) { orders(first: 250, query: $q, sortKey: ID) { nodes { id } } }", q=query)
    expected = [order["id"] for order in every if wanted(order)]
    assert expected
    assert [node["id"] for node in found["data"]["orders"]["nodes"]] == expected[:250]
    assert "search" not in found["extensions"]
    counted = client.data("query($q: String) { ordersCount(query: $q) { count } }", q=query)
    assert counted["ordersCount"]["count"] == len(expected)


def test_ids_compare_as_numbers_and_as_lists(local: Open) -> None:
    client = local()
    ids = client.store.tables["Order"].columns["id"].tolist()
    text = "query($q: String) { ordersCount(query: $q) { count } }"
    for query, count in [
        (f"id:{ids[3]}", 1),
        (f"id:{ids[3]},{ids[5]}", 2),
        (f"id:>{ids[9]}", 110),
        (f"id:>={ids[9]} id:<{ids[19]}", 10),
        (f"id:{ids[9]}..{ids[19]}", 11),
    ]:
        assert client.data(text, q=query)["ordersCount"]["count"] == count


def test_customers_updated_at_matches_whole_days_of_the_shop(local: Open) -> None:
    client = local(orders=1500, timezone="Asia/Tokyo")
    customers = [client.store.document("Customer", row) for row in range(len(client.store.tables["Customer"]))]
    zone = ZoneInfo("Asia/Tokyo")

    def day(customer: Document) -> str:
        return stamp(customer["updatedAt"]).astimezone(zone).date().isoformat()

    text = "query($q: String) { customers(first: 250, query: $q) { nodes { id } } }"
    filters: dict[str, Callable[[Document], bool]] = {
        "updated_at:>='2026-06-20T15:30:00+09:00'": lambda customer: day(customer) >= "2026-06-20",
        "updated_at:<'2026-02-20T15:30:00+09:00'": lambda customer: day(customer) < "2026-02-20",
    }
    for query, wanted in filters.items():
        found = client.data(text, q=query)["customers"]["nodes"]
        assert [node["id"] for node in found] == [c["id"] for c in customers if wanted(c)][:250]


@pytest.mark.parametrize(
    ("connection", "query", "wanted"),
    [
        ("customers", "orders_count:>5", lambda c: int(c["numberOfOrders"]) > 5),
        ("customers", "customer_date:<2025-01-01", lambda c: c["createdAt"] < "2025-01-01"),
        ("customers", "first_name:björn", lambda c: c["firstName"] == "Björn"),
        ("customers", "state:enabled", lambda c: c["state"] == "ENABLED"),
        ("customers", "-phone:*", lambda c: c["defaultPhoneNumber"] is None),
        ("products", "vendor:acme", lambda p: p["vendor"] == "Acme"),
        ("products", "status:archived,draft", lambda p: p["status"] in ("ARCHIVED", "DRAFT")),
        ("products", "gift_card:true", lambda p: p["isGiftCard"]),
        ("products", "sku:SKU-003-000", lambda p: any(v["sku"] == "SKU-003-000" for v in p["variants"])),
        ("abandonedCheckouts", "recovery_state:recovered", lambda c: c["completedAt"]),
        ("abandonedCheckouts", "status:open", lambda c: not c["completedAt"]),
    ],
)
def test_filters_of_the_other_connections(
    local: Open, connection: str, query: str, wanted: Callable[[Document], bool]
) -> None:
    client = local(orders=900)
    kind = {"customers": "Customer", "products": "Product", "abandonedCheckouts": "AbandonedCheckout"}[connection]
    every = [client.store.document(kind, row) for row in range(len(client.store.tables[kind]))]
    expected = [document["id"] for document in every if wanted(document)]
    found = client.data(f"query($q: String) {{ {connection}(first: 250, query: $q) {{ nodes {{ id }} }} }}", q=query)
    assert expected
    assert [node["id"] for node in found[connection]["nodes"]] == expected[:250]


def test_a_filter_that_is_not_documented_is_ignored_with_the_recorded_warning(local: Open) -> None:
    found = local().ask('{ customers(first: 5, query: "created_at:>2030-01-01") { nodes { id } } }')
    assert len(found["data"]["customers"]["nodes"]) == 5
    assert found["extensions"]["search"] == [
        {
            "path": ["customers"],
            "query": "created_at:>2030-01-01",
            "parsed": {"field": "created_at", "range": {"gt": "2030-01-01"}},
            "warnings": [
                {"field": "created_at", "message": "Invalid search field for this query.", "code": "invalid_field"}
            ],
        }
    ]


def test_a_value_that_is_none_is_ignored_with_a_warning(local: Open) -> None:
    found = local().ask('{ orders(first: 5, query: "created_at:>soon test:false") { nodes { id } } }')
    assert found["extensions"]["search"][0]["warnings"] == [
        {"field": "created_at", "message": "Input `soon` is not an accepted value.", "code": "invalid_value"}
    ]


@pytest.mark.parametrize("query", ["risk_level:high", "words without a field"])
def test_what_shopify_can_search_and_the_sandbox_cannot_is_never_ignored(local: Open, query: str) -> None:
    with pytest.raises(UnsupportedError):
        local().ask("query($q: String) { orders(first: 1, query: $q) { nodes { id } } }", q=query)
