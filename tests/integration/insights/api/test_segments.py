"""Segments by HTTP: saved, changed, previewed, removed; who is in them; by whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.insights import Api
from tests.support.serving import key_for
from xeno_pipeline.access.scopes import Scope

if TYPE_CHECKING:
    from httpx import Response

    from tests.support.marts.warehouse import Warehouse

SEGMENTS = "/stores/shelf/segments"


@pytest.fixture
def empty(marts: Warehouse) -> None:
    """No segments of the store are left from before."""
    marts.execute("delete from ops.segments where tenant_id = 'shelf'")


def send(api: Api, method: str, path: str, key: str, body: Any = None) -> Response:
    headers = {"Authorization": f"Bearer {key}"}
    return api.client.request(method, f"/api/v1{path}", headers=headers, json=body)


def test_a_segment_from_its_saving_to_its_removal(api: Api, marts: Warehouse, key: str, empty: None) -> None:
    before = api.get(SEGMENTS, key)
    assert before.json()["data"] == []
    made = send(api, "POST", SEGMENTS, key, {"name": "Buyers", "query": "number_of_orders >= 1"})
    assert made.status_code == 201, made.text
    segment = made.json()["data"]
    address = f"{SEGMENTS}/{segment['segment_id']}"
    assert made.headers["location"] == f"/api/v1{address}"
    assert segment["rules"]["rules"][0]["field"] == "number_of_orders"
    assert api.get(SEGMENTS, key, {"If-None-Match": before.headers["etag"]}).json()["data"] == [segment]
    marts.transform("shelf")
    query = "select customer_id, net_sales from marts.dim_customers where tenant_id = 'shelf' and orders_count > 0"
    buyers = marts.query(query)
    found = api.get(address, key).json()["data"]
    assert (found["customers"], found["net_sales"]) == (len(buyers), str(sum(sales for _, sales in buyers)))
    members = [row["customer_id"] for row in api.get(f"{address}/members", key, limit=500).json()["data"]]
    assert members == sorted(customer for customer, _ in buyers)
    listed = api.get("/stores/shelf/customers", key, segment=segment["segment_id"], limit=500, sort="customer_id")
    assert [row["customer_id"] for row in listed.json()["data"]] == members
    history = api.get(f"{address}/history", key, limit=1).json()
    assert history["data"][0]["valid_to"] is None
    rest = api.get(f"{address}/history", key, cursor=history["next"], limit=500).json()["data"]
    assert len(rest) == len(members) - 1
    change = {"name": "Many", "rules": found["rules"], "description": "d"}
    changed = send(api, "PUT", address, key, change).json()["data"]
    assert (changed["name"], changed["query"], changed["description"]) == ("Many", found["query"], "d")
    assert send(api, "DELETE", address, key).status_code == 204
    for path in (address, f"{address}/members", f"{address}/history"):
        assert api.get(path, key).status_code == 404
    assert send(api, "DELETE", address, key).status_code == 404


def test_a_preview(api: Api, marts: Warehouse, key: str) -> None:
    wanted = marts.value("select count(*) from marts.dim_customers where tenant_id = 'depot' and orders_count >= 2")
    told = send(api, "POST", "/stores/depot/segments/preview", key, {"query": "number_of_orders >= 2"}).json()["data"]
    assert told["customers"] == wanted
    assert told["query"] == "number_of_orders >= 2"
    again = send(api, "POST", "/stores/depot/segments/preview", key, {"rules": told["rules"]}).json()["data"]
    assert again == told


@pytest.mark.parametrize(
    ("body", "position"),
    [
        ({"query": "number_of_order >= 2"}, 0),
        ({"query": "number_of_orders >= 2 AND"}, 25),
        ({"query": "rfm_segment = 'CHAMPION'"}, 14),
        ({"query": "'; drop table ops.tenants; --"}, 0),
        ({"query": "number_of_orders >= \x00"}, None),
        ({"query": "\ud800"}, None),
        ({"query": ""}, None),
        ({}, None),
        ({"query": "number_of_orders = 1", "rules": {}}, None),
        ({"rules": {"rules": 7}}, 0),
        ({"query": 7}, None),
        ([], None),
        ({"query": "number_of_orders = 1", "more": 1}, None),
    ],
)
def test_a_query_that_cannot_be(api: Api, key: str, body: Any, position: int | None) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = api.client.post("/api/v1/stores/depot/segments/preview", headers=headers, content=json.dumps(body))
    problem = answer.json()
    assert answer.status_code == 422, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.get("position") == position, problem
    assert problem["remedy"]


def test_bodies_that_cannot_be(api: Api, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    path = "/api/v1/stores/depot/segments/preview"
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        assert api.client.post(path, headers=headers, content=content).status_code == 422
    large = api.client.post(path, headers=headers, content=b" " * (2 << 20))
    assert (large.status_code, large.json()["title"]) == (413, "The request is too large")


def test_a_name_that_is_taken(api: Api, key: str, empty: None) -> None:
    body = {"name": "Once", "query": "number_of_orders = 1"}
    assert send(api, "POST", SEGMENTS, key, body).status_code == 201
    again = send(api, "POST", SEGMENTS, key, {**body, "name": "ONCE"})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")


def test_who_may(api: Api, marts: Warehouse, key: str, empty: None) -> None:
    reader = key_for(marts.database, ["shelf"])
    writer = key_for(marts.database, ["shelf"], Scope.SEGMENTS)
    other = key_for(marts.database, ["depot"], *Scope)
    body = {"name": "One", "query": "number_of_orders = 1"}
    personal = {"query": "customer_email_domain = 'example.com'"}
    made = send(api, "POST", SEGMENTS, writer, body)
    address = f"{SEGMENTS}/{made.json()['data']['segment_id']}"
    for method, path, sent in (
        ("POST", SEGMENTS, body),
        ("PUT", address, {"name": "Two"}),
        ("DELETE", address, None),
    ):
        assert send(api, method, path, reader, sent).status_code == 403
        assert send(api, method, path, other, sent).status_code == 404
    assert api.get(address, reader).status_code == 200
    for method, path, sent in (
        ("POST", SEGMENTS, {**personal, "name": "Mail"}),
        ("PUT", address, personal),
        ("POST", f"{SEGMENTS}/preview", personal),
    ):
        assert send(api, method, path, writer, sent).status_code == 403
        assert send(api, method, path, key, sent).status_code in (200, 201)
    marts.transform("shelf")
    found = {row["name"]: row for row in api.get(SEGMENTS, reader).json()["data"]}
    assert found["Mail"]["is_personal"]
    assert found["Mail"]["customers"] is None
    mail = found["Mail"]["segment_id"]
    for path, parameters in (
        (f"{SEGMENTS}/{mail}/members", {}),
        (f"{SEGMENTS}/{mail}/history", {}),
        ("/stores/shelf/customers", {"segment": mail}),
        ("/stores/shelf/exports/fct_orders.csv", {"segment": mail}),
        ("/stores/shelf/exports/dim_customers.parquet", {"segment": mail}),
    ):
        for secret in (reader, writer):
            refused = api.get(path, secret, **parameters)
            assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json"), path
        assert api.get(path, key, **parameters).status_code == 200, path
    elsewhere = made.json()["data"]["segment_id"]
    assert api.get(f"/stores/depot/segments/{elsewhere}", key).status_code == 404
    assert api.get("/stores/depot/customers", key, segment=elsewhere).json()["data"] == []
