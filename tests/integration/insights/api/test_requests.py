"""What cannot be answered is a problem with a remedy; what has not changed is not sent again; limits hold."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.insights import Api, api_over
from tests.support.serving import key_for
from xeno_pipeline.access.grants import revoke
from xeno_pipeline.access.secret import make_secret
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.tenants import registry

if TYPE_CHECKING:
    from httpx import Response

    from tests.support.marts.warehouse import Warehouse

PLAIN = (
    "",
    "/overview",
    "/sales",
    "/orders",
    "/customers",
    "/customers/top",
    "/products",
    "/products/top",
    "/rfm",
    "/rfm/migrations",
    "/cohorts",
    "/churn",
    "/checkouts",
    "/checkouts/recovery",
    "/carts",
)


def check_problem(answer: Response, status: int, detail: str = "") -> None:
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["remedy"]
    assert detail in str(problem)


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-02-01&to=2026-01-31",
        "from=12026-01-01",
        "from=0001-01-01",
        "to=9999-12-31",
        "from=0001-01-01&to=9999-12-31",
        "from=2026-02-30",
        "from=1700000000",
        "from=yesterday",
        "from=",
        "from=2026-01-01&from=2026-01-02",
        "form=2026-01-01",
        "from=%00",
        "from=%ED%A0%80",
        "tenant_id=shelf",
    ],
)
def test_days_that_cannot_be(api: Api, key: str, query: str) -> None:
    for path in ("overview", "sales", "orders", "products/top", "checkouts", "checkouts/recovery", "rfm/migrations"):
        check_problem(api.get(f"/stores/depot/{path}?{query}", key), 422)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=99999999999999999999999",
        "limit=1.5",
        "limit=ten",
        "limit=1&limit=2",
        "cursor=",
        "cursor=%00",
        "cursor=x",
        f"cursor={'x' * 5000}",
        "sort=email",
        "sort=-net_sales;drop table",
        "segment=0",
        "segment=99999999999999999999",
        "rfm_segment=%00",
        f"rfm_segment={'x' * 1000}",
        "q=",
        "q=%00",
        f"q={'x' * 1000}",
    ],
)
def test_parameters_of_a_list_that_cannot_be(api: Api, key: str, query: str) -> None:
    check_problem(api.get(f"/stores/depot/customers?{query}", key), 422)


def test_a_cursor_of_another_list(api: Api, key: str) -> None:
    cursor = api.get("/stores/depot/orders?limit=1", key).json()["next"]
    check_problem(api.get("/stores/depot/customers", key, cursor=cursor), 422, "first page")
    check_problem(api.get("/stores/depot/orders", key, cursor=cursor, sort="ordered_on"), 422, "same sort")


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "%00", "9" * 30, str(2**63)])
def test_ids_that_cannot_be(api: Api, key: str, number: str) -> None:
    for path in ("orders", "customers"):
        check_problem(api.get(f"/stores/depot/{path}/{number}", key), 422)


@pytest.mark.parametrize(
    "path",
    ["/orders/1", "/customers/1", "/customers/1/timeline", "/nothing", "/orders/1/2", "%0A/orders", "/no%0Athing"],
)
def test_what_there_is_not(api: Api, key: str, path: str) -> None:
    check_problem(api.get(f"/stores/depot{path}", key), 404)


def test_methods_that_there_are_not(api: Api, key: str) -> None:
    for method in ("POST", "DELETE", "PUT", "PATCH", "TRACE"):
        answer = api.client.request(method, "/api/v1/stores/depot/orders", headers={"Authorization": f"Bearer {key}"})
        check_problem(answer, 405)
        assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic eA==",
        pytest.param(f"Bearer {make_secret()}", id="another"),
        "Bearer \xff",
    ],
)
def test_without_a_key_that_works(api: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("", "/depot", "/depot/orders/1", "/unheard-of"):
        answer = api.client.get(f"/api/v1/stores{path}", headers=headers)
        check_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_store_that_is_not_the_keys_is_as_one_that_is_not(api: Api, marts: Warehouse, viewer: str) -> None:
    unknown = {path: api.get(f"/stores/unheard-of{path}", viewer) for path in PLAIN}
    for handle in ("shelf", "void", quote("dépôt"), "%00", "depot%20", "DEPOT", "%ED%A0%80"):
        for path, like in unknown.items():
            answer = api.get(f"/stores/{handle}{path}", viewer)
            check_problem(answer, 404)
            assert answer.content == like.content


def test_a_suspended_store_is_as_one_that_is_not(api: Api, marts: Warehouse, key: str) -> None:
    with marts.database.connect() as connection:
        registry.set_status(connection, "void", "suspended")
    try:
        for path in PLAIN:
            answer = api.get(f"/stores/void{path}", key)
            check_problem(answer, 404)
            assert answer.content == api.get(f"/stores/unheard-of{path}", key).content
        assert "void" not in api.get("/stores", key).text
    finally:
        with marts.database.connect() as connection:
            registry.set_status(connection, "void", "active")


def test_a_revoked_key_ends_with_the_next_request(api: Api, marts: Warehouse) -> None:
    with marts.database.connect() as connection:
        key_for(marts.database, ["depot"])
        ((name,),) = connection.execute("select name from ops.access_keys order by key_id desc limit 1").fetchall()
    secret = key_for(marts.database, ["depot", "shelf"])
    with marts.database.connect() as connection:
        ((name,),) = connection.execute("select name from ops.access_keys order by key_id desc limit 1").fetchall()
    etag = api.get("/stores/depot/rfm", secret).headers["etag"]
    with marts.database.connect() as connection:
        revoke(connection, name, ["depot"])
    check_problem(api.get("/stores/depot/rfm", secret, {"If-None-Match": etag}), 404)
    assert api.get("/stores/shelf/rfm", secret).status_code == 200
    with marts.database.connect() as connection:
        revoke(connection, name)
    check_problem(api.get("/stores/shelf/rfm", secret), 401)


def test_a_viewer_sees_no_person(api: Api, marts: Warehouse, key: str, viewer: str) -> None:
    people = {
        value
        for row in marts.query("select email, phone, first_name || ' ' || last_name from marts.dim_customers")
        for value in row
        if value and len(value) > 6
    }
    assert len(people) > 100
    ids = marts.query("select customer_id from marts.dim_customers where tenant_id = 'depot' limit 3")
    paths = [*PLAIN, *(f"/customers/{number}{rest}" for (number,) in ids for rest in ("", "/timeline"))]
    for path in paths:
        text = api.get(f"/stores/depot{path}", viewer).text
        assert [person for person in people if person in text] == [], path
    assert any(person in api.get("/stores/depot/customers", key).text for person in people)
    check_problem(api.get("/stores/depot/customers?q=a", viewer), 403, "people")
    assert api.get("/stores/depot/customers?q=a", key).json()["data"]


def test_an_operation_documents_304_where_its_answers_have_an_etag(api: Api, key: str) -> None:
    for path, operations in api.get("/openapi.json", None).json()["paths"].items():
        for method, operation in operations.items():
            assert method == "get" or "304" not in operation["responses"]
        if "get" in operations and path.startswith("/stores/{store}") and path.count("{") == 1:
            answer = api.get(path.format(store="depot"), key)
            assert ("etag" in answer.headers) == ("304" in operations["get"]["responses"]), path


def test_what_has_not_changed_is_not_sent_again(api: Api, marts: Warehouse, key: str, viewer: str) -> None:
    with_etag = [path for path in PLAIN if path != "/carts"]
    etags = {path: api.get(f"/stores/depot{path}", key).headers["etag"] for path in with_etag}
    assert len(set(etags.values())) == len(with_etag)
    for path, etag in etags.items():
        for known in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
            answer = api.get(f"/stores/depot{path}", key, {"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert api.get(f"/stores/depot{path}", viewer, {"If-None-Match": etag}).status_code == 200
        assert api.get(f"/stores/depot{path}", key, {"If-None-Match": '"x"'}).status_code == 200
    assert "etag" not in api.get("/stores/depot/carts", key).headers
    marts.execute("update ops.tenant_marts set transformed_at = now() where tenant_id = 'depot'")
    for path, etag in etags.items():
        assert api.get(f"/stores/depot{path}", key, {"If-None-Match": etag}).status_code == 200


def test_a_kept_answer_is_of_the_marts_as_they_are(api: Api, marts: Warehouse, key: str) -> None:
    def orders() -> int:
        count: int = api.get("/stores/shelf/overview?from=1990-01-01&to=2100-12-31", key).json()["data"]["current"][
            "orders"
        ]
        return count

    before = orders()
    marts.execute("update intermediate.int_daily_sales set orders = orders + 1 where tenant_id = 'shelf'")
    assert orders() == before
    marts.execute("update ops.tenant_marts set transformed_at = now() where tenant_id = 'shelf'")
    assert orders() > before
    marts.execute("update intermediate.int_daily_sales set orders = orders - 1 where tenant_id = 'shelf'")
    marts.execute("update ops.tenant_marts set transformed_at = now() where tenant_id = 'shelf'")
    assert orders() == before


def test_a_store_without_marts(api: Api, marts: Warehouse, key: str) -> None:
    marts.register([("new-here", "UTC", "EUR")])
    try:
        told = api.get("/stores/new-here", key).json()
        assert (told["made_at"], told["data"]["made_at"], told["data"]["store"]) == (None, None, "new-here")
        for path in ("/overview", "/sales", "/rfm", "/churn"):
            check_problem(api.get(f"/stores/new-here{path}", key), 409, "first sync")
        assert api.get("/stores/new-here/orders", key).json()["data"] == []
    finally:
        marts.execute("delete from ops.tenants where tenant_id = 'new-here'")


def test_too_many_requests(marts: Warehouse) -> None:
    one, other = key_for(marts.database, ["depot"]), key_for(marts.database, ["depot"])
    with api_over(marts.database, insights_requests_per_minute=3) as api:
        answers = [api.get("/stores/depot", one) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["ratelimit"].partition(";t")[0] for answer in answers[:3]] == [
            f'"key";r={left}' for left in (2, 1, 0)
        ]
        check_problem(answers[3], 429)
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        assert api.get("/stores/depot", other).status_code == 200


@pytest.mark.thorough
def test_an_answer_that_takes_too_long(api: Api, marts: Warehouse, key: str) -> None:
    with marts.database.connect() as connection:
        connection.execute("lock table marts.fct_orders in access exclusive mode")
        answer = api.get("/stores/depot/orders", key)
    check_problem(answer, 503, "shorter period")
    assert "retry-after" in answer.headers


@pytest.mark.thorough
def test_while_the_database_is_away(make_warehouse: Callable[[], Warehouse], server: EmbeddedServer) -> None:
    warehouse = make_warehouse()
    key = key_for(warehouse.database, None)
    with api_over(warehouse.database) as api:
        assert api.get("/stores", key).json() == {"data": []}
        with Database(server.url).connect(autocommit=True) as connection, warehouse.database.connect() as there:
            name = there.info.dbname
            connection.execute(f"drop database {name} with (force)")
        answer = api.get("/stores", key)
        check_problem(answer, 503, "Try again")
        assert "retry-after" in answer.headers
        assert api.client.get("/readyz").status_code == 503
        assert api.client.get("/healthz").status_code == 200


def test_how_it_is(api: Api, key: str) -> None:
    assert api.client.get("/healthz").text == "ok"
    assert api.client.get("/readyz").text == "ok"
    api.get("/stores/depot/orders/17", key)
    metrics = api.client.get("/metrics").text
    assert 'route="/stores/{store}/orders/{order_id}",status="404"' in metrics
    assert "depot" not in metrics


def test_the_log_has_no_secret_and_nothing_that_was_asked(api: Api, key: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        api.get("/stores/depot/customers?q=somebody@example.com", key)
        api.get("/stores/depot/nothing-somebody@example.com", key)
        api.get("/stores/depot/customers?somebody@example.com=1", key)
    records = [record for record in caplog.records if record.getMessage() == "request"]
    assert [record.__dict__["status"] for record in records] == [200, 404, 422]
    assert records[0].__dict__["route"] == "/stores/{store}/customers"
    assert records[0].__dict__["subject"].startswith("key-")
    for record in records:
        assert "somebody" not in str(vars(record))
        assert key not in str(vars(record))


def test_the_documentation_needs_no_other_host(api: Api) -> None:
    page = api.client.get("/api/v1/docs")
    assert "/api/v1/stores/{store}/overview" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    described = api.client.get("/api/v1/openapi.json").json()
    assert set(described["paths"]) >= {f"/stores/{{store}}{path}" for path in PLAIN}
    for operations in described["paths"].values():
        for operation in operations.values():
            assert {"401", "422", "429", "500", "503"} <= set(operation["responses"])
