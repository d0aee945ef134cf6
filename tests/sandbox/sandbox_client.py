"""A client as simple as one can be, that knows nothing of this package's own: an outsider's view of the API."""

from __future__ import annotations

import time
from functools import cache
from importlib import resources
from typing import Any

import requests
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Node,
    OperationDefinitionNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

TOKEN = "shpat_sandbox"
FINISHED = {"COMPLETED", "FAILED", "CANCELED", "EXPIRED"}


@cache
def _documents() -> DocumentNode:
    folder = resources.files("xeno_pipeline.shopify").joinpath("queries")
    return parse("\n".join(file.read_text() for file in folder.iterdir() if file.name.endswith(".graphql")))


class _Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.names.append(node.name.value)


@cache
def operation(name: str) -> str:
    """One of the product's own operations, with the fragments it needs."""
    definitions = _documents().definitions
    fragments = {n.name.value: n for n in definitions if isinstance(n, FragmentDefinitionNode)}
    main = next(n for n in definitions if isinstance(n, OperationDefinitionNode) and n.name and n.name.value == name)
    needed: dict[str, Node] = {}
    waiting: list[Node] = [main]
    while waiting:
        spreads = _Spreads()
        visit(waiting.pop(), spreads)
        for spread in spreads.names:
            if spread not in needed:
                needed[spread] = fragments[spread]
                waiting.append(fragments[spread])
    return "\n\n".join(print_ast(node) for node in (main, *needed.values()))


class AdminClient:
    """Asks one store."""

    def __init__(self, api_url: str, token: str | None = TOKEN, version: str = "2026-10") -> None:
        self.url = f"{api_url}/admin/api/{version}/graphql.json"
        self.session = requests.Session()
        if token is not None:
            self.session.headers["X-Shopify-Access-Token"] = token

    def post(self, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> requests.Response:
        body = {"query": query, "variables": variables or {}, "operationName": name}
        return self.session.post(self.url, json=body, timeout=30)

    def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer to a query, waiting for points when there are none."""
        while True:
            answer: dict[str, Any] = self.post(query, variables).json()
            if (answer.get("errors") or [{}])[0].get("message") != "Throttled":
                return answer
            time.sleep(0.2)

    def data(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The data of an answer that must have no errors."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    def pages(self, name: str, /, **variables: Any) -> list[dict[str, Any]]:
        """All nodes of a paged operation of the product."""
        nodes: list[dict[str, Any]] = []
        after = None
        while True:
            (connection,) = self.data(operation(name), after=after, **variables).values()
            nodes += connection["nodes"]
            if not connection["pageInfo"]["hasNextPage"]:
                return nodes
            after = connection["pageInfo"]["endCursor"]

    def start_bulk(self, query: str, *, grouped: bool = False) -> dict[str, Any]:
        """What `bulkOperationRunQuery` answers."""
        mutation = """mutation Start($query: String!, $grouped: Boolean!) {
          bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
            bulkOperation { id status objectCount } userErrors { field message code }
          }
        }"""
        started: dict[str, Any] = self.data(mutation, query=query, grouped=grouped)["bulkOperationRunQuery"]
        return started

    def finish_bulk(self, identity: str, seconds: float = 30) -> dict[str, Any]:
        """A bulk operation once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.data(operation("BulkOperationStatus"), id=identity)["bulkOperation"]
            if found["status"] in FINISHED:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{identity} is still {found['status']} after {seconds} s")

    def bulk(self, query: str, *, grouped: bool = False) -> dict[str, Any]:
        """Run a bulk query to its end."""
        started = self.start_bulk(query, grouped=grouped)
        assert not started["userErrors"], started["userErrors"]
        return self.finish_bulk(started["bulkOperation"]["id"])
