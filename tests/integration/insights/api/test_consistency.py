"""Every operation says what the marts say, for every store; what each answer is made of is read from the marts here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.insights import STORES, Api

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

Rows = list[dict[str, Any]]


@pytest.fixture
def mart(marts: Warehouse) -> Callable[..., Rows]:
    """The rows of a query on the marts, as the API would write them."""

    def read(query: str, *values: Any) -> Rows:
        with marts.database.connect() as connection:
            connection.execute("set search_path = marts")
            cursor = connection.execute(query, values)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, map(written, row), strict=True)) for row in cursor]

    return read


def written(value: Any) -> Any:
    """A value of a mart as it stands in JSON."""
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, int | list | None) else str(value)


def all_pages(api: Api, path: str, key: str, **parameters: Any) -> Rows:
    answer = api.get(path, key, limit=500, **parameters).json()
    rows: Rows = answer["data"]
    while answer["next"]:
        answer = api.get(path, key, limit=500, cursor=answer["next"], **parameters).json()
        rows += answer["data"]
    return rows


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("orders", "select * from fct_orders where tenant_id = %s order by ordered_on desc, order_id desc"),
        ("customers", "select * from dim_customers where tenant_id = %s order by net_sales desc, customer_id desc"),
        ("products", "select * from dim_products where tenant_id = %s order by product_id"),
        (
            "checkouts",
            "select * from abandoned_checkouts where tenant_id = %s order by abandoned_on desc, checkout_id desc",
        ),
        ("carts", "select * from abandoned_carts where tenant_id = %s order by updated_at desc, cart_id desc"),
    ],
)
def test_lists(api: Api, key: str, mart: Callable[..., Rows], store: str, path: str, query: str) -> None:
    rows = all_pages(api, f"/stores/{store}/{path}", key)
    wanted = mart(query, store)
    assert rows == [{name: row[name] for name in (rows or [{}])[0]} for row in wanted]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("customers/top?limit=100", "select * from top_customers where tenant_id = %s order by rank"),
        ("products/top?limit=100", "select * from top_products where tenant_id = %s order by rank"),
        (
            "rfm/migrations",
            "select * from rfm_migrations where tenant_id = %s order by month, from_segment, to_segment",
        ),
    ],
)
def test_tables(api: Api, key: str, mart: Callable[..., Rows], store: str, path: str, query: str) -> None:
    rows = api.get(f"/stores/{store}/{path}", key).json()["data"]
    assert rows == [{name: row[name] for name in (rows or [{}])[0]} for row in mart(query, store)]


@pytest.mark.parametrize("store", STORES)
def test_rfm(api: Api, key: str, mart: Callable[..., Rows], store: str) -> None:
    told = api.get(f"/stores/{store}/rfm", key).json()["data"]
    segments = {row["rfm_segment"]: row for row in mart("select * from rfm_segments where tenant_id = %s", store)}
    assert len(told["segments"]) == 11
    for segment in told["segments"]:
        assert segment == {name: segments[segment["rfm_segment"]][name] for name in segment}
    scores = mart("select * from rfm_scores where tenant_id = %s", store)
    cells: dict[tuple[int, int], int] = defaultdict(int)
    for row in scores:
        cells[row["recency_score"], row["frequency_score"]] += 1
    assert {(c["recency_score"], c["frequency_score"]): c["customers"] for c in told["cells"]} == cells


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("measure", "column"), [("retention", "retention_rate"), ("net_sales",) * 2, ("ltv",) * 2])
def test_cohorts(api: Api, key: str, mart: Callable[..., Rows], store: str, measure: str, column: str) -> None:
    told = api.get(f"/stores/{store}/cohorts", key, measure=measure).json()["data"]
    rows = {
        (row["cohort_month"], row["period_number"]): (row["cohort_size"], row[column])
        for row in mart("select * from cohort_retention where tenant_id = %s", store)
    }
    assert rows == {
        (cohort["cohort_month"], number): (cohort["cohort_size"], value)
        for cohort in told["cohorts"]
        for number, value in enumerate(cohort["values"])
    }


@pytest.mark.parametrize("store", STORES)
def test_churn(api: Api, key: str, mart: Callable[..., Rows], store: str) -> None:
    told = api.get(f"/stores/{store}/churn", key).json()["data"]
    buyers = mart("select * from dim_customers where tenant_id = %s and orders_count > 0", store)
    for segment in told["segments"]:
        alike = [row for row in buyers if row["churn_segment"] == segment["churn_segment"]]
        assert segment["customers"] == len(alike)
        assert segment["churn_risk_customers"] == sum(row["is_churn_risk"] for row in alike)
        assert segment["orders"] == sum(row["orders_count"] for row in alike)
    assert told["customers"] == len(buyers)


@pytest.mark.parametrize("store", STORES)
def test_one_of_each(api: Api, key: str, mart: Callable[..., Rows], store: str) -> None:
    for path, kind, query in (
        ("orders", "order_id", "select * from fct_orders where tenant_id = %s limit 5"),
        ("customers", "customer_id", "select * from dim_customers where tenant_id = %s limit 5"),
    ):
        for row in mart(query, store):
            one = api.get(f"/stores/{store}/{path}/{row[kind]}", key).json()["data"]
            assert {name: one[name] for name in one if name in row} == {name: row[name] for name in one if name in row}
    for row in mart("select * from dim_customers where tenant_id = %s and orders_count > 0 limit 5", store):
        events = all_pages(api, f"/stores/{store}/customers/{row['customer_id']}/timeline", key)
        query = "select * from customer_timeline where tenant_id = %s and customer_id = %s"
        wanted = mart(f"{query} order by occurred_at desc, event_id desc", store, row["customer_id"])
        assert events == [{name: each[name] for name in events[0]} for each in wanted]


@pytest.mark.parametrize("store", STORES)
def test_recovery(api: Api, key: str, mart: Callable[..., Rows], store: str) -> None:
    told = api.get(f"/stores/{store}/checkouts/recovery", key).json()["data"]
    days = mart("select * from checkout_recovery_daily where tenant_id = %s", store)
    assert told["checkouts"] == sum(day["checkouts"] for day in days)
    assert told["recovered"] == sum(day["recovered"] for day in days)


def test_the_best_products_of_all_days_are_those_of_all_time(api: Api, key: str) -> None:
    always = api.get("/stores/depot/products/top", key, limit=100).json()["data"]
    assert always
    between = api.get("/stores/depot/products/top?from=1990-01-01&to=2100-12-31", key, limit=100).json()["data"]
    assert between == always


def test_the_stores(api: Api, key: str, viewer: str, mart: Callable[..., Rows]) -> None:
    tenants = {row["tenant_id"]: row for row in mart("select * from dim_tenants")}
    stores = api.get("/stores", key).json()["data"]
    assert [store["store"] for store in stores] == sorted(STORES)
    for store in stores:
        row = tenants[store["store"]]
        assert {name: store[name] for name in store if name in row} == {n: row[n] for n in store if n in row}
        assert api.get(f"/stores/{store['store']}", key).json()["data"] == store
    assert [store["store"] for store in api.get("/stores", viewer).json()["data"]] == ["depot"]


def test_the_envelope(api: Api, key: str, mart: Callable[..., Rows]) -> None:
    answer = api.get("/stores/depot/overview", key)
    ((made,),) = [row.values() for row in mart("select transformed_at from ops.tenant_marts where tenant_id = 'depot'")]
    told = answer.json()
    assert (told["store"], told["currency"], told["made_at"]) == ("depot", "EUR", made)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/json"
    money = told["data"]["current"]["net_sales"]
    assert isinstance(money, str)
    assert money.partition(".")[2] == "0000" or len(money.partition(".")[2]) == 4
    page = api.get("/stores/depot/orders", key, limit=2)
    link = page.headers["link"]
    assert link.endswith('; rel="next"')
    following = api.client.get(link[1 : link.index(">")], headers={"Authorization": f"Bearer {key}"})
    assert following.json()["data"] == api.get("/stores/depot/orders", key, limit=4).json()["data"][2:]
    assert json.dumps(page.json()["next"])
