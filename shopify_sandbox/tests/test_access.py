"""Who may ask what: handles, API versions, tokens, scopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.tests.client import TOKEN, AdminClient, LocalClient, operation

Open = Callable[..., LocalClient]
SHOP = "{ shop { name } }"


def post(url: str, token: str | None = TOKEN, body: Any = None) -> requests.Response:
    headers = {} if token is None else {"X-Shopify-Access-Token": token}
    return requests.post(url, json=body or {"query": SHOP}, headers=headers, timeout=30)


@pytest.mark.parametrize("token", [None, "", "shpat_wrong"])
def test_a_wrong_or_missing_token_is_refused(sandbox: SandboxProcess, token: str | None) -> None:
    refused = post(f"{sandbox.url}/berlin/admin/api/2026-10/graphql.json", token)
    assert refused.status_code == 401
    message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    assert refused.json() == {"errors": message}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("2026-10", "2026-10"),
        ("2026-01", "2026-01"),
        ("2025-10", "2026-01"),
        ("2023-04", "2026-01"),
    ],
)
def test_a_retired_version_falls_forward_to_the_oldest_supported(
    sandbox: SandboxProcess, asked: str, answered: str
) -> None:
    response = post(f"{sandbox.url}/berlin/admin/api/{asked}/graphql.json")
    assert response.json()["data"] == {"shop": {"name": "Berlin"}}
    assert response.headers["X-Shopify-API-Version"] == answered


@pytest.mark.parametrize("path", ["berlin/admin/api/2027-01", "berlin/admin/api/newest", "nobody/admin/api/2026-10"])
def test_what_does_not_exist_is_not_found(sandbox: SandboxProcess, path: str) -> None:
    response = post(f"{sandbox.url}/{path}/graphql.json")
    assert (response.status_code, response.json()) == (404, {"errors": "Not Found"})


@pytest.mark.parametrize("body", ["[]", '{"query": 1}', "no JSON", '{"query": "{ shop { id } }", "variables": 1}'])
def test_a_body_that_is_no_request_is_a_bad_request(sandbox: SandboxProcess, body: str) -> None:
    url = f"{sandbox.url}/berlin/admin/api/2026-10/graphql.json"
    assert requests.post(url, data=body, headers={"X-Shopify-Access-Token": TOKEN}, timeout=30).status_code == 400


def test_a_documented_search_that_the_sandbox_does_not_play_is_a_501(berlin: AdminClient) -> None:
    response = berlin.post('{ orders(first: 1, query: "risk_level:high") { nodes { id } } }')
    assert response.status_code == 501
    assert "risk_level" in response.json()["errors"]


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("{ shop { nme } }", "Field 'nme' doesn't exist on type 'Shop'", "undefinedField"),
        (
            "{ orders(first: 1, colour: 2) { nodes { id } } }",
            "Field 'orders' doesn't accept argument 'colour'",
            "argumentNotAccepted",
        ),
        ("{ order { id } }", "Field 'order' is missing required arguments: id", "missingRequiredArguments"),
        (
            "{ shop }",
            "Field must have selections (field 'shop' returns Shop but has no selections. "
            "Did you mean 'shop { ... }'?)",
            "selectionMismatch",
        ),
        (
            "query A($a: Int) { shop { id } }",
            "Variable $a is declared by A but not used",
            "variableNotUsed",
        ),
        (
            "{ orders(first: 1, sortKey: NAME) { nodes { id } } }",
            "Argument 'sortKey' on Field 'orders' has an invalid value (NAME). Expected type 'OrderSortKeys'.",
            "argumentLiteralsIncompatible",
        ),
    ],
)
def test_an_invalid_query_is_told_so_in_shopify_s_words(local: Open, text: str, message: str, code: str) -> None:
    problem = local().error(text)
    assert (problem["message"], problem["extensions"]["code"]) == (message, code)
    assert problem["locations"]


def test_text_that_is_no_graphql_is_a_syntax_error(local: Open) -> None:
    assert "syntax error, unexpected" in local().error("{ shop {")["message"]


def test_the_installation_tells_its_scopes(local: Open) -> None:
    found = local().data(operation("Shop"))["currentAppInstallation"]["accessScopes"]
    assert [scope["handle"] for scope in found] == [
        "read_orders",
        "read_all_orders",
        "read_customers",
        "read_customer_merge",
        "read_products",
    ]


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ("read_orders", "orders"),
        ("read_orders", "ordersCount"),
        ("read_orders", "abandonedCheckouts"),
        ("read_customers", "customers"),
        ("read_products", "products"),
    ],
)
def test_a_field_whose_scope_is_missing_is_denied(local: Open, scope: str, field: str) -> None:
    client = local(scopes=tuple({"read_orders", "read_customers", "read_products"} - {scope}))
    selection = "{ count }" if field.endswith("Count") else "(first: 1) { nodes { id } }"
    answer = client.ask(f"{{ {field} {selection} }}")
    (problem,) = answer["errors"]
    assert answer["data"] is None or answer["data"][field] is None
    assert problem["message"] == f"Access denied for {field} field. Required access: `{scope}` access scope."
    assert problem["extensions"]["code"] == "ACCESS_DENIED"
    assert problem["path"] == [field]


@pytest.mark.parametrize("withheld", [False, True], ids=["not granted", "granted in name only"])
def test_without_read_all_orders_older_orders_are_not_there_and_nothing_says_so(local: Open, withheld: bool) -> None:
    scopes = ("read_orders", "read_customers", "read_products", *(["read_all_orders"] if withheld else []))
    client = local(orders=600, scopes=scopes)
    client.store.overlay.set("withholds_orders", withheld)
    client.set_clock("2026-06-30T00:00:00Z")
    every = [client.store.document("Order", row) for row in range(600)]
    recent = {order["id"] for order in every if order["createdAt"] >= "2026-05-01T00:00:00Z"}
    old = next(order for order in every if order["id"] not in recent)
    assert 0 < len(recent) < 200
    answer = client.ask("{ orders(first: 250) { nodes { id } } ordersCount { count } }")
    assert {node["id"] for node in answer["data"]["orders"]["nodes"]} == recent
    assert answer["data"]["ordersCount"]["count"] == len(recent)
    assert answer.keys() == {"data", "extensions"}
    assert client.data("query($id: ID!) { order(id: $id) { id } node(id: $id) { id } }", id=old["id"]) == {
        "order": None,
        "node": None,
    }
    known = {customer["id"]: customer["numberOfOrders"] for customer in client.pages("CustomersPage", first=50)}
    buyers = [o["customer"]["id"] for o in every if o["customer"] and not o["test"]]
    assert sum(int(count) for count in known.values()) == len(buyers)


def test_the_server_lists_its_stores(sandbox: SandboxProcess) -> None:
    assert requests.get(f"{sandbox.url}/healthz", timeout=30).json() == {"status": "ok"}
    berlin, tokyo = sandbox.control.stores()
    assert berlin == {
        "handle": "berlin",
        "api_url": f"{sandbox.url}/berlin",
        "token": TOKEN,
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "orders": 1200,
    }
    assert tokyo["handle"] == "tokyo"
