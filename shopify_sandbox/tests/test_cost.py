"""API cost: what a query is charged, and a bucket that fills with time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode, build_schema, parse

from shopify_sandbox.cost import CostBucket, QueryCost, page_factor
from shopify_sandbox.execution.schema import admin_schema
from shopify_sandbox.tests.client import LocalClient, operation

Open = Callable[..., LocalClient]


def cost(schema: GraphQLSchema, text: str, variables: dict[str, Any]) -> QueryCost:
    definitions = parse(text).definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    (main,) = (node for node in definitions if isinstance(node, OperationDefinitionNode))
    return QueryCost(schema, main, fragments, variables)


@pytest.mark.parametrize(("size", "factor"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3), (10, 4), (50, 7)])
def test_a_page_counts_by_the_logarithm_of_its_size_as_recorded(size: int, factor: int) -> None:
    assert page_factor(size) == factor


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("{ orders(first: 1) { nodes { id } } }", 3),
        ("{ orders(first: 5) { nodes { id } } }", 5),
        ("{ orders(first: 10) { nodes { id name } } }", 6),
        ("{ bulkOperations(first: 50) { nodes { id } pageInfo { hasNextPage } } }", 9),
        ("{ productsCount { count precision } }", 10),
        ('{ order(id: "gid://shopify/Order/1") { id totalPriceSet { shopMoney { amount } } } }', 1),
        ('{ bulkOperation(id: "gid://shopify/BulkOperation/1") { id } }', 1),
        ('mutation { bulkOperationCancel(id: "x") { bulkOperation { id } userErrors { message } } }', 10),
        (
            '{ order(id: "x") { id } orders(first: 5, query: "a:b") { nodes { id } } ordersCount { count } }',
            16,
        ),
    ],
)
def test_costs_are_the_recorded_ones(text: str, requested: int) -> None:
    assert cost(admin_schema(), text, {}).requested == requested


def recordings(content: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Query, variables and requested cost of every request in a recording."""
    if isinstance(content, list):
        for element in content:
            yield from recordings(element)
    elif isinstance(content, dict):
        response = content.get("response")
        if "query" in content and isinstance(response, dict) and "cost" in response.get("extensions", {}):
            requested = response["extensions"]["cost"]["requestedQueryCost"]
            yield content["query"], content.get("variables") or {}, requested
        yield from recordings(list(content.values()))


@cache
def full_schema(folder: Path) -> GraphQLSchema:
    return build_schema((folder / "admin-2026-10.graphql").read_text(), assume_valid=True)


@pytest.mark.skipif("XENO_SHARED" not in os.environ, reason="XENO_SHARED names no folder with recorded traffic")
def test_costs_are_those_of_all_recorded_traffic_within_the_schema() -> None:
    folder = Path(os.environ.get("XENO_SHARED", "")) / "shopify"
    compared = 0
    for path in sorted((folder / "recorded").glob("*.json")):
        for text, variables, requested in recordings(json.loads(path.read_text())):
            # Not part of the sandbox: introspection, idempotency keys (10 more) and the old consents (nothing).
            if any(part in text for part in ("__type", "@idempotent", "MarketingConsent")):
                continue
            assert cost(full_schema(folder), text, variables).requested == requested, text
            compared += 1
    assert compared > 70


def test_an_answer_costs_at_most_what_was_requested(local: Open) -> None:
    client = local()
    found = client.ask(operation("OrdersPage"), first=5)["extensions"]["cost"]
    assert 0 < found["actualQueryCost"] <= found["requestedQueryCost"] <= 1000
    assert found["throttleStatus"] == {
        "maximumAvailable": 2000,
        "currentlyAvailable": 2000 - found["actualQueryCost"],
        "restoreRate": 100,
    }


def test_a_query_is_throttled_until_the_bucket_holds_what_it_requests(local: Open) -> None:
    client = local()
    text = "{ ordersCount { count } productsCount { count } }"
    for _ in range(100):
        assert "errors" not in client.ask(text)
    refused = client.ask(text)
    assert refused["errors"] == [
        {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
        }
    ]
    assert refused["extensions"]["cost"] == {
        "requestedQueryCost": 20,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 0, "restoreRate": 100},
    }
    client.ticker.seconds += 0.19
    assert "errors" in client.ask(text)
    client.ticker.seconds += 0.01
    assert "errors" not in client.ask(text)


def test_what_a_query_did_not_use_is_given_back(local: Open) -> None:
    client = local(orders=0)
    spent = client.ask("{ orders(first: 250) { nodes { id } } }")["extensions"]["cost"]
    assert spent["requestedQueryCost"] == 12
    assert spent["actualQueryCost"] == 2
    assert spent["throttleStatus"]["currentlyAvailable"] == 1998


def test_a_query_of_more_than_a_thousand_points_is_refused_whatever_the_bucket_holds(local: Open) -> None:
    client = local()
    problem = client.error(operation("OrdersPage"), first=250, lineItems=250, agreements=50, sales=250)
    assert problem["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert problem["extensions"]["cost"] > problem["extensions"]["maxCost"] == 1000
    assert client.data("{ shop { id } }")


@pytest.mark.parametrize(("plan", "rate"), [("Standard", 100), ("Advanced", 200), ("Plus", 1000), ("Enterprise", 2000)])
def test_a_bucket_holds_what_its_plan_restores_in_twenty_seconds(plan: str, rate: int) -> None:
    now = 0.0
    bucket = CostBucket(plan, lambda: now)
    assert bucket.available == 20 * rate
    assert bucket.charge(20 * rate)
    assert not bucket.charge(1)
    now = 1.0
    assert bucket.available == rate
    now = 100.0
    assert bucket.available == 20 * rate
