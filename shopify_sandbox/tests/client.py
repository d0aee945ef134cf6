"""Clients as simple as can be, over HTTP or without: an outsider's view of the API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import requests
from graphql import parse, print_ast, separate_operations

from shopify_sandbox.api import AdminApi
from shopify_sandbox.controls.changes import CHANGES
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.stores import Stores

UNTIL = datetime(2026, 6, 30, tzinfo=UTC)
TOKEN = "shpat_sandbox"
FINISHED = {"COMPLETED", "FAILED", "CANCELED", "EXPIRED"}


@cache
def _operations() -> dict[str, str]:
    document = parse(Path(__file__).with_name("operations.graphql").read_text())
    return {name: print_ast(single) for name, single in separate_operations(document).items()}


def operation(name: str) -> str:
    """One of the operations in `operations.graphql`, with the fragments it needs."""
    return _operations()[name]


class Client:
    """Asks one store; how, its subclasses know."""

    def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer to a query."""
        raise NotImplementedError

    def data(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The data of an answer that must have no errors."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    def error(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The only error of an answer."""
        (problem,) = self.ask(query, **variables)["errors"]
        found: dict[str, Any] = problem
        return found

    def pages(self, name: str, /, **variables: Any) -> list[dict[str, Any]]:
        """All nodes of a paged operation."""
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


class Ticker:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class LocalClient(Client):
    """Asks a store in this process."""

    def __init__(self, api: AdminApi, ticker: Ticker) -> None:
        self.api = api
        self.store = api.store
        self.ticker = ticker

    def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer to a query."""
        return self.api.answer({"query": query, "variables": variables})

    def change(self, name: str, **options: Any) -> dict[str, list[int]]:
        """Change the store."""
        with self.store.changing():
            return CHANGES[name](self.store, **options)

    def set_clock(self, text: str) -> None:
        """Stop the store's clock at a time."""
        self.store.overlay.set("clock_fixed", int(datetime.fromisoformat(text).timestamp()))

    def order(self, number: int) -> dict[str, Any]:
        """An order's document."""
        found = self.store.find("Order", number)
        assert found is not None
        return found


@contextmanager
def opened(folder: Path, handle: str, **facts: Any) -> Iterator[LocalClient]:
    """A store in this process (of 120 orders, unless it is said otherwise), with a clock of points that stands."""
    ticker = Ticker()
    source = {} if facts.keys() & {"orders_csv", "buyers"} else {"orders": 120, "until": UNTIL}
    stores = Stores([StoreSpec(handle, **{**source, **facts})], folder, "http://sandbox", ticker)
    try:
        api = stores.get(handle)
        assert api is not None
        yield LocalClient(api, ticker)
    finally:
        stores.close()


class AdminClient(Client):
    """Asks a store over HTTP."""

    def __init__(self, api_url: str, token: str | None = TOKEN, version: str = "2026-10") -> None:
        self.url = f"{api_url}/admin/api/{version}/graphql.json"
        self.session = requests.Session()
        self.session.trust_env = False
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
