"""Connections: pages, cursors and sort orders."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from shopify_sandbox.errors import ApiError
from shopify_sandbox.execution.connections import MAX_OBJECTS, Listing, Window
from shopify_sandbox.tests.client import LocalClient, operation

Open = Callable[..., LocalClient]

IDS = """query Ids(
  $first: Int, $last: Int, $after: String, $before: String, $reverse: Boolean, $sortKey: OrderSortKeys
) {
  orders(first: $first, last: $last, after: $after, before: $before, reverse: $reverse, sortKey: $sortKey) {
    nodes { id updatedAt } pageInfo { hasNextPage endCursor }
  }
}"""


def page(client: LocalClient, **window: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.data(IDS, **window)["orders"]
    return found


def everything(client: LocalClient, **window: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    after = None
    while True:
        found = page(client, after=after, **window)
        nodes += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            return nodes
        after = found["pageInfo"]["endCursor"]


@pytest.mark.parametrize("size", [1, 7, 120, 250])
@pytest.mark.parametrize("sort_key", ["ID", "CREATED_AT", "UPDATED_AT", "PROCESSED_AT", "ORDER_NUMBER"])
def test_pages_of_any_size_hold_every_order_once_and_in_order(local: Open, size: int, sort_key: str) -> None:
    client = local()
    nodes = everything(client, first=size, sortKey=sort_key)
    assert len({node["id"] for node in nodes}) == len(nodes) == 120
    if sort_key == "UPDATED_AT":
        assert [node["updatedAt"] for node in nodes] == sorted(node["updatedAt"] for node in nodes)
    assert everything(client, first=size, sortKey=sort_key, reverse=True) == nodes[::-1]


def test_an_empty_store_has_one_empty_page(local: Open) -> None:
    assert page(local(orders=0), first=5) == {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}


def test_the_last_of_a_connection_and_those_before_a_cursor(local: Open) -> None:
    client = local()
    nodes = everything(client, first=250)
    assert page(client, last=3)["nodes"] == nodes[-3:]
    cursor = page(client, first=10)["pageInfo"]["endCursor"]
    assert page(client, last=4, before=cursor)["nodes"] == nodes[5:9]
    assert page(client, first=4, before=cursor)["nodes"] == nodes[:4]


def test_cursors_have_the_recorded_form(local: Open) -> None:
    client = local()
    found = page(client, first=2, sortKey="UPDATED_AT")
    content = json.loads(base64.b64decode(found["pageInfo"]["endCursor"]))
    assert content.keys() == {"last_id", "last_value"}
    assert found["nodes"][1]["id"].endswith(f"/{content['last_id']}")


def test_a_cursor_stays_valid_when_its_object_changes_or_goes(local: Open) -> None:
    client = local()
    nodes = everything(client, first=250, sortKey="UPDATED_AT")
    cursor = page(client, first=10, sortKey="UPDATED_AT")["pageInfo"]["endCursor"]
    last, following = (int(node["id"].rpartition("/")[2]) for node in nodes[9:11])
    client.change("update_order", order_id=last)
    assert page(client, first=1, after=cursor, sortKey="UPDATED_AT")["nodes"] == nodes[10:11]
    client.change("delete_order", order_id=last)
    client.change("delete_order", order_id=following)
    assert page(client, first=1, after=cursor, sortKey="UPDATED_AT")["nodes"] == nodes[11:12]


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({}, "you must provide one of first or last"),
        ({"first": 1, "last": 1}, "providing both first and last is not supported"),
        ({"first": 251}, "first cannot exceed 250"),
        ({"last": -1}, "last must be greater than or equal to 0"),
        ({"first": 1, "after": "no cursor"}, "Invalid cursor for current pagination sort."),
        ({"first": 1, "after": base64.b64encode(b"[1]").decode()}, "Invalid cursor for current pagination sort."),
    ],
)
def test_a_window_that_cannot_be_is_refused(local: Open, window: dict[str, Any], message: str) -> None:
    assert local().error(IDS, **window)["message"] == message


def test_connections_inside_an_order_have_their_own_pages(local: Open) -> None:
    client = local(orders=2503)
    rows = client.store.tables["Order"].columns["id"]
    whole = next(found for found in map(client.order, rows.tolist()[350:360]) if len(found["lineItems"]) >= 300)
    text = operation("OrderLineItems")
    lines: list[dict[str, Any]] = []
    after = None
    while True:
        found = client.data(text, id=whole["id"], first=100, after=after)["order"]["lineItems"]
        lines += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
    assert [line["id"] for line in lines] == [line["id"] for line in whole["lineItems"]]
    agreement = whole["agreements"][0]
    number = agreement["id"].rpartition("/")[2]
    (only,) = client.data(operation("AgreementSales"), id=whole["id"], agreement=f"id:{number}", first=250)["order"][
        "agreements"
    ]["nodes"]
    assert [sale["id"] for sale in only["sales"]["nodes"]] == [sale["id"] for sale in agreement["sales"][:250]]


def test_paging_ends_after_25_000_objects(local: Open) -> None:
    listing = Listing(local(orders=MAX_OBJECTS + 10).store, "orders", None)
    before_last, last = listing.rows[MAX_OBJECTS - 2 : MAX_OBJECTS].tolist()
    assert len(listing.page(Window(first=5, after=_cursor(listing, before_last)))["nodes"]) == 5
    with pytest.raises(ApiError) as refusal:
        listing.page(Window(first=1, after=_cursor(listing, last)))
    assert refusal.value.extensions == {"code": "PAGINATION_LIMIT_EXCEEDED"}


def _cursor(listing: Listing, row: int) -> str:
    number = int(listing.table.columns["id"][row])
    return base64.b64encode(json.dumps({"last_id": number, "last_value": str(number)}).encode()).decode()


def test_nodes_answers_by_id_with_null_for_what_is_not_there(local: Open) -> None:
    client = local()
    wanted = [node["id"] for node in everything(client, first=250)[:3]]
    client.change("delete_order", order_id=int(wanted[1].rpartition("/")[2]))
    ids = [*wanted, "gid://shopify/Order/1"]
    found = client.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["nodes"]
    assert found == [{"id": wanted[0]}, None, {"id": wanted[2]}, None]
    too_many = client.error("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids * 63)
    assert too_many["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert "Invalid global id 'x'" in client.error('{ node(id: "x") { id } }')["message"]


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        (None, {"count": 120, "precision": "EXACT"}),
        (120, {"count": 120, "precision": "EXACT"}),
        (100, {"count": 100, "precision": "AT_LEAST"}),
    ],
)
def test_a_count_stops_at_its_limit(local: Open, limit: int | None, count: dict[str, Any]) -> None:
    text = "query($limit: Int) { ordersCount(limit: $limit) { count precision } }"
    assert local().data(text, limit=limit)["ordersCount"] == count


def test_a_count_stops_at_10_000_unless_told_otherwise(local: Open) -> None:
    client = local(orders=10_001)
    assert client.data("{ ordersCount { count precision } }")["ordersCount"]["precision"] == "AT_LEAST"
