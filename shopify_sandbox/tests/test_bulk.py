"""Bulk operations: what is refused, how they run, and what they write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from graphql import execute_sync, parse

from shopify_sandbox.bulk.query import bulk_lines, compile_bulk_query
from shopify_sandbox.execution.schema import Request, admin_schema, resolve_type
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.tests.client import AdminClient, LocalClient, opened, operation

Open = Callable[..., LocalClient]
Document = dict[str, Any]

IDS = "{ orders { edges { node { id } } } }"
START = """mutation Start($query: String!, $grouped: Boolean!) {
  bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
    bulkOperation { id status objectCount rootObjectCount fileSize url }
    userErrors { field message code }
  }
}"""
CANCEL = """mutation Cancel($id: ID!) {
  bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } }
}"""
BULK_QUERIES = ["OrdersBulk", "CustomersBulk", "ProductsBulk", "AbandonedCheckoutsBulk"]


def start(client: LocalClient, query: str) -> Document:
    found: Document = client.data(START, query=query, grouped=False)["bulkOperationRunQuery"]
    return found


def lines_of(done: Document) -> list[Document]:
    assert done["url"], done
    return [json.loads(line) for line in requests.get(done["url"], timeout=30).iter_lines()]


# -- what is refused: the recorded messages


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        (
            "{ products { nodes { id title } } }",
            [
                "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
                "'products { edges { node {'. Selecting via 'nodes' is not supported. "
                "Invalid connection fields: 'products'."
            ],
        ),
        (
            '{ node(id: "gid://shopify/Product/0") { id } }',
            [
                "Bulk queries cannot contain a top level `node` field.",
                "Bulk queries must contain at least one connection.",
            ],
        ),
        ("{ shop { id } }", ["Bulk queries must contain at least one connection."]),
        (
            "{ collections { edges { node { id products { edges { node { id variants { edges { node { id metafields "
            "{ edges { node { id } } } } } } } } } } } } }",
            ["Bulk queries cannot contain connections with a nesting depth greater than 2."],
        ),
        (
            "{ products { edges { node { id variants { edges { node { id } } } metafields { edges { node { id } } } "
            "collections { edges { node { id } } } media { edges { node { id } } } "
            "sellingPlanGroups { edges { node { id } } } } } } }",
            ["Bulk queries cannot contain more than 5 connections."],
        ),
        (
            "{ products { edges { node { title variants { edges { node { id } } } } } } }",
            [
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and "
                "must be of 'ID' return type. Connection fields without 'id': products."
            ],
        ),
        (
            'mutation { productCreate(input: { title: "x" }) { product { id } } }',
            ["Invalid operation type. Only `query` operations are supported."],
        ),
        (
            "{ orders { edges { node { id fulfillments { events { edges { node { id } } } } } } } }",
            ["Queries that contain a connection field within a list field are not currently supported."],
        ),
        ("", ["Invalid bulk query: syntax error, unexpected end of file"]),
    ],
)
def test_a_query_that_bulk_does_not_take_is_refused_as_recorded(local: Open, query: str, messages: list[str]) -> None:
    assert start(local(), query) == {
        "bulkOperation": None,
        "userErrors": [{"field": ["query"], "message": message, "code": "INVALID"} for message in messages],
    }


def test_a_field_that_does_not_exist_is_refused(local: Open) -> None:
    (problem,) = start(local(), "{ orders { edges { node { colour } } } }")["userErrors"]
    assert problem["message"].startswith("Invalid bulk query: ")


def test_the_sixth_operation_is_refused_as_recorded(local: Open) -> None:
    client = local()
    client.api.faults.order([{"kind": "bulk_stuck", "count": 5}])
    running = [start(client, IDS)["bulkOperation"]["id"] for _ in range(5)]
    message = f"A bulk query operation for this app and shop is already in progress: {', '.join(running)}."
    assert start(client, IDS) == {
        "bulkOperation": None,
        "userErrors": [{"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}],
    }
    client.data(CANCEL, id=running[0])
    assert not start(client, IDS)["userErrors"]


# -- how they run


def test_an_operation_is_created_and_completes(berlin: AdminClient) -> None:
    started = berlin.start_bulk(IDS)["bulkOperation"]
    assert (started["status"], started["objectCount"]) == ("CREATED", "0")
    done = berlin.finish_bulk(started["id"])
    assert (done["status"], done["errorCode"], done["partialDataUrl"]) == ("COMPLETED", None, None)
    assert done["objectCount"] == done["rootObjectCount"] == "1200"
    assert done["createdAt"] <= done["completedAt"]
    result = requests.get(done["url"], timeout=30)
    assert done["fileSize"] == str(len(result.content)) == result.headers["Content-Length"]
    assert done["query"] == IDS


def test_an_empty_result_is_complete_and_has_no_url(berlin: AdminClient) -> None:
    done = berlin.bulk('{ orders(query: "created_at:>2030-01-01") { edges { node { id } } } }')
    assert (done["status"], done["objectCount"], done["url"], done["fileSize"]) == ("COMPLETED", "0", None, None)


def test_operations_are_listed_newest_first_and_found_by_status(local: Open) -> None:
    client = local()
    client.api.faults.order([{"kind": "bulk_stuck", "count": 3}])
    ids = [start(client, IDS)["bulkOperation"]["id"] for _ in range(3)]
    client.data(CANCEL, id=ids[1])
    text = """query($query: String, $reverse: Boolean) {
      bulkOperations(first: 10, query: $query, reverse: $reverse) { nodes { id status } }
    }"""

    def listed(**options: Any) -> list[str]:
        return [node["id"] for node in client.data(text, **options)["bulkOperations"]["nodes"]]

    assert listed() == ids[::-1]
    assert listed(reverse=True) == ids
    assert listed(query="status:canceled") == [ids[1]]
    assert listed(query="status:running") == [ids[2], ids[0]]


def test_a_running_operation_can_be_cancelled_and_an_ended_one_not(local: Open, berlin: AdminClient) -> None:
    client = local()
    client.api.faults.order([{"kind": "bulk_stuck"}])
    running = start(client, IDS)["bulkOperation"]["id"]
    cancelled = client.data(CANCEL, id=running)["bulkOperationCancel"]
    assert cancelled == {"bulkOperation": {"id": running, "status": "CANCELING"}, "userErrors": []}
    assert client.data(operation("BulkOperationStatus"), id=running)["bulkOperation"]["status"] == "CANCELED"
    ended = berlin.bulk(IDS)["id"]
    refused = berlin.data(CANCEL, id=ended)["bulkOperationCancel"]["userErrors"]
    assert refused == [{"field": None, "message": "A bulk operation cannot be canceled when it is completed"}]
    unknown = berlin.data(CANCEL, id="gid://shopify/BulkOperation/1")["bulkOperationCancel"]
    assert unknown["userErrors"] == [{"field": ["id"], "message": "Bulk operation does not exist"}]


def test_an_operation_without_its_scope_fails(tmp_path: Path) -> None:
    with opened(tmp_path, "acme") as client:
        client.store.overlay.set("scopes", ["read_products"])
        started = start(client, IDS)["bulkOperation"]["id"]
        found = client.finish_bulk(started)
    assert (found["status"], found["errorCode"]) == ("FAILED", "ACCESS_DENIED")


# -- what they write


def test_children_follow_in_any_order_and_name_their_parent(berlin: AdminClient) -> None:
    lines = lines_of(berlin.bulk(operation("OrdersBulk")))
    at = {line["id"]: position for position, line in enumerate(lines)}
    children = [line for line in lines if "__parentId" in line]
    before = [child for child in children if at[child["id"]] < at[child["__parentId"]]]
    assert 0.05 < len(before) / len(children) < 0.95
    for child in children:
        assert list(child)[-1] == "__parentId"
        kind = child["__parentId"].split("/")[3]
        assert kind.endswith("Agreement" if child["__typename"].endswith("Sale") else "Order")


def test_grouped_children_stand_behind_their_parent(berlin: AdminClient) -> None:
    family: set[str] = set()
    for line in lines_of(berlin.bulk(operation("OrdersBulk"), grouped=True)):
        if "__parentId" not in line:
            family = set()
        else:
            assert line["__parentId"] in family
        family.add(line["id"])


def test_bulk_and_pages_tell_the_same_of_an_order(tokyo: AdminClient) -> None:
    lines = {line["id"]: line for line in lines_of(tokyo.bulk(operation("OrdersBulk")))}
    orders = tokyo.pages("OrdersPage", first=25, lineItems=100, agreements=10, sales=100)
    paged: dict[str, Document] = {}
    for order in orders:
        nested = {name: order.pop(name)["nodes"] for name in ("lineItems", "agreements")}
        paged[order["id"]] = order
        for line in nested["lineItems"]:
            paged[line["id"]] = line | {"__parentId": order["id"]}
        for agreement in nested["agreements"]:
            sales = agreement.pop("sales")["nodes"]
            paged[agreement["id"]] = agreement | {"__parentId": order["id"]}
            paged |= {sale["id"]: sale | {"__parentId": agreement["id"]} for sale in sales}
    assert paged == lines


@pytest.mark.parametrize(
    ("pages", "bulk"),
    [
        ("OrdersPage", "OrdersBulk"),
        ("CustomersPage", "CustomersBulk"),
        ("ProductsPage", "ProductsBulk"),
        ("AbandonedCheckoutsPage", "AbandonedCheckoutsBulk"),
    ],
)
def test_bulk_and_pages_have_the_same_root_objects(tokyo: AdminClient, pages: str, bulk: str) -> None:
    done = tokyo.bulk(operation(bulk))
    roots = {line["id"] for line in lines_of(done) if "__parentId" not in line}
    assert roots == {node["id"] for node in tokyo.pages(pages, first=100)}
    assert int(done["rootObjectCount"]) == len(roots)


ALIASED = """{
  orders(query: "test:false", reverse: true) { edges { node {
    id total: totalPriceSet { presentmentMoney { currencyCode amount } } customer { id firstName same: id }
    transactions { kind parentTransaction { id amountSet { shopMoney { amount } } } }
    agreements(query: "happened_at:>2025-01-01", reverse: true) { edges { node {
      id when: happenedAt ... on RefundAgreement { refund { id } }
    } } }
  } } }
}"""


@pytest.mark.parametrize("text", [*map(operation, BULK_QUERIES), ALIASED], ids=[*BULK_QUERIES, "aliases"])
def test_the_projector_writes_what_the_executor_answers(local: Open, text: str) -> None:
    client = local(orders=240)
    projected = [json.loads(line) for _, line in bulk_lines(compile_bulk_query(client.store, admin_schema(), text))]
    request = Request(client.store, client.api.bulk, scopes=frozenset(client.store.scopes))
    paged = re.sub(r"(\w+)(?:\(([^)]*)\))? \{(?=\s*edges \{)", _with_first, text)
    result = execute_sync(admin_schema(), parse(paged), context_value=request, type_resolver=resolve_type)
    assert not result.errors
    (connection,) = (result.data or {}).values()
    assert len(projected) > 30
    assert projected == [line for edge in connection["edges"] for line in _flat(edge["node"], None)]


def _with_first(connection: re.Match[str]) -> str:
    """A connection field that also asks for its first page, as paged queries must."""
    name, arguments = connection.groups()
    return f"{name}({arguments}, first: 250) {{" if arguments else f"{name}(first: 250) {{"


def _flat(node: Document, parent: str | None) -> Iterator[Document]:
    """A node without its connections, and then their nodes, as bulk writes them."""
    nested = {name: value for name, value in node.items() if isinstance(value, dict) and "edges" in value}
    yield {name: value for name, value in node.items() if name not in nested} | (
        {"__parentId": parent} if parent else {}
    )
    for connection in nested.values():
        for edge in connection["edges"]:
            yield from _flat(edge["node"], node["id"])


# -- downloads


@pytest.fixture(scope="module")
def result(berlin: AdminClient) -> tuple[str, bytes]:
    """The URL of a result, and all of it."""
    done = berlin.bulk(IDS)
    return done["url"], requests.get(done["url"], timeout=30).content


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=100-", slice(100, None)), ("bytes=0-9", slice(0, 10)), ("bytes=50-99999999", slice(50, None))],
)
def test_a_range_of_a_result_can_be_had(result: tuple[str, bytes], asked: str, part: slice) -> None:
    url, whole = result
    answer = requests.get(url, headers={"Range": asked}, timeout=30)
    assert answer.status_code == 206
    assert answer.content == whole[part]
    first = part.start
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


def test_a_range_beyond_the_end_is_refused_and_one_that_is_none_ignored(result: tuple[str, bytes]) -> None:
    url, whole = result
    assert requests.get(url, headers={"Range": f"bytes={len(whole)}-"}, timeout=30).status_code == 416
    assert requests.get(url, headers={"Range": "bytes=9-1"}, timeout=30).content == whole


def test_a_result_is_on_a_path_of_its_own_and_takes_no_access_token(
    sandbox: SandboxProcess, result: tuple[str, bytes]
) -> None:
    url, _ = result
    assert url.startswith(f"{sandbox.url}/bulk-results/")
    for header in ("X-Shopify-Access-Token", "Authorization"):
        assert requests.get(url, headers={header: "shpat_sandbox"}, timeout=30).status_code == 400
    assert requests.get(f"{sandbox.url}/bulk-results/guessed.jsonl", timeout=30).status_code == 404


def test_a_result_can_be_downloaded_for_seven_days(tmp_path: Path) -> None:
    with opened(tmp_path, "acme") as client:
        client.set_clock("2026-07-01T00:00:00Z")
        identity = start(client, IDS)["bulkOperation"]["id"]
        client.finish_bulk(identity)
        client.set_clock("2026-07-07T23:00:00Z")
        assert client.data(operation("BulkOperationStatus"), id=identity)["bulkOperation"]["url"]
        client.set_clock("2026-07-08T01:00:00Z")
        assert client.data(operation("BulkOperationStatus"), id=identity)["bulkOperation"]["url"] is None
        kept = list((client.store.folder / "bulk-results").iterdir())
    with opened(tmp_path, "acme") as client:
        assert client.data(operation("BulkOperationStatus"), id=identity)["bulkOperation"]["status"] == "COMPLETED"
    assert len(kept) == 1
    assert not kept[0].exists()
