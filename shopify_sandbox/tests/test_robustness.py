"""Whatever is asked, the answer is one that Shopify might give, or says that the sandbox does not play it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shopify_sandbox.search.selection import UnsupportedError
from shopify_sandbox.tests.client import LocalClient, opened

Ask = Callable[..., dict[str, Any]]
BULK = "mutation($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: false) { userErrors { message } } }"
PAGE = "query($n: Int!) { orders(first: $n) { nodes { id } } }"
SEARCH = "query($q: String) { orders(first: 1, query: $q) { nodes { id } } }"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClient]:
    with opened(tmp_path_factory.mktemp("robust"), "robust", orders=20) as client:
        yield client


@pytest.fixture
def ask(client: LocalClient) -> Ask:
    client.ticker.seconds += 60
    return client.ask


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("{ }", {}),
        ("query A { shop { id } } query B { shop { id } }", {}),
        ("subscription { shop { id } }", {}),
        ("fragment F on Order { id ...F } { orders(first: 1) { nodes { ...F } } }", {}),
        ("{ orders(first: 1) { nodes { ...Missing } } }", {}),
        (PAGE, {}),
        (PAGE, {"n": None}),
        (PAGE, {"n": "many"}),
        (PAGE, {"n": -1}),
        (PAGE, {"n": 10**12}),
        ('{ order(id: "") { id } }', {}),
        ('{ node(id: "gid://elsewhere/Order/1") { id } }', {}),
        (SEARCH, {"q": "()"}),
    ],
)
def test_a_question_that_cannot_be_answered_is_an_error(ask: Ask, text: str, variables: dict[str, Any]) -> None:
    answer = ask(text, **variables)
    assert answer["errors"][0]["message"]
    assert not any((answer.get("data") or {}).values())


@pytest.mark.parametrize(
    "search",
    [
        "id:99999999999999999999999",
        "created_at:0000-01-01",
        "created_at:9999-12",
        "created_at:>=9999-12-31",
        "created_at:2026-13-45",
        "current_total_price:NaN",
        "current_total_price:>Infinity",
        "test:perhaps",
        "status:sleeping",
        "id:..5",
    ],
)
def test_a_value_out_of_any_range_is_ignored_with_a_warning(ask: Ask, search: str) -> None:
    (warning,) = ask(SEARCH, q=search)["extensions"]["search"][0]["warnings"]
    assert warning["code"] == "invalid_value"


@pytest.mark.parametrize(
    "query",
    [
        "fragment F on Order { id ...F } { orders { edges { node { ...F } } } }",
        "{ orders { edges { node { ...Missing } } } }",
        "{ orders { edges { __typename } } }",
        "{ orders { edges { node } } }",
        "{ orders(first: many) { edges { node { id } } } }",
        "query($n: Int!) { orders(first: $n) { edges { node { id } } } }",
        "{ orders { edges { node { id } } } } { customers { edges { node { id } } } }",
        "fragment F on Order { id }",
    ],
)
def test_a_bulk_query_that_cannot_run_is_refused(ask: Ask, query: str) -> None:
    assert ask(BULK, q=query)["data"]["bulkOperationRunQuery"]["userErrors"][0]["message"]


@pytest.mark.parametrize(
    "text",
    [
        "{ orders(first: 1, sortKey: TOTAL_PRICE) { nodes { id } } }",
        "{ orders(first: 1, savedSearchId: 5) { nodes { id } } }",
        "{ products(first: 1) { nodes { variants(first: 1, sortKey: TITLE) { nodes { id } } } } }",
        '{ node(id: "gid://shopify/LineItem/1") { id } }',
    ],
)
def test_what_the_sandbox_does_not_play_says_so(ask: Ask, text: str) -> None:
    with pytest.raises(UnsupportedError):
        ask(text)


def test_the_schema_can_be_introspected(ask: Ask) -> None:
    types = ask("{ __schema { types { name } } }")["data"]["__schema"]["types"]
    assert {"name": "Order"} in types


def test_directives_aliases_and_fragments_are_understood(ask: Ask) -> None:
    text = """query($yes: Boolean!) {
      one: orders(first: 1) { nodes { ...F name @skip(if: $yes) } }
      two: orders(last: 1) { edges { node { ... on Order { ...F } } } }
    }
    fragment F on Order { key: id @include(if: $yes) }"""
    found = ask(text, yes=True)["data"]
    assert found["one"]["nodes"][0].keys() == found["two"]["edges"][0]["node"].keys() == {"key"}
