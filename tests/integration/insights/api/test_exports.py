"""Exports over HTTP are those of the command line, without what the key may not see, and hold nothing once they end."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from tests.support.insights import Api
from xeno_pipeline.exports.contract import find_mart, read_marts
from xeno_pipeline.exports.csv import stream_csv
from xeno_pipeline.exports.selection import Selection
from xeno_pipeline.segments.registry import remove_segment, save_segment
from xeno_pipeline.web import downloads

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse


@pytest.fixture(autouse=True)
def _nothing_is_held() -> Iterator[None]:
    yield
    assert downloads._UNDER_WAY._value == downloads._AT_ONCE


def owners_csv(marts: Warehouse, selection: Selection) -> bytes:
    with marts.database.connect() as connection:
        connection.execute("set local search_path = marts")
        return b"".join(stream_csv(connection, selection))


@pytest.mark.parametrize("mart", sorted(read_marts()))
def test_who_sees_people_gets_what_the_owner_gets(api: Api, key: str, marts: Warehouse, mart: str) -> None:
    answer = api.get(f"/stores/depot/exports/{mart}.csv", key)
    assert answer.status_code == 200
    assert answer.content == owners_csv(marts, Selection("depot", find_mart(mart)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="depot-{mart}.csv"'


@pytest.mark.parametrize("mart", ["dim_customers", "top_customers", "abandoned_checkouts"])
def test_a_viewer_gets_no_person(api: Api, viewer: str, marts: Warehouse, mart: str, tmp_path: Path) -> None:
    personal = [column.name for column in find_mart(mart).columns if column.is_personal]
    assert personal
    rows = list(csv.DictReader(io.StringIO(api.get(f"/stores/depot/exports/{mart}.csv", viewer).text, newline="")))
    people = list(
        csv.DictReader(io.StringIO(owners_csv(marts, Selection("depot", find_mart(mart))).decode(), newline=""))
    )
    assert {row[name] for row in rows for name in personal} == {""}
    assert any(row[name] for row in people for name in personal)
    assert [{**row, **dict.fromkeys(personal)} for row in rows] == [
        {**row, **dict.fromkeys(personal)} for row in people
    ]

    file = tmp_path / "it.parquet"
    file.write_bytes(api.get(f"/stores/depot/exports/{mart}.parquet", viewer).content)
    with closing(duckdb.connect()) as reader:
        counts = ", ".join(f"count({name})" for name in personal)
        found = reader.execute(f"select count(*), {counts} from '{file}'").fetchall()[0]
    assert found == (len(rows), *[0] * len(personal))


def test_parquet_of_a_month_is_the_rows_of_that_month(api: Api, key: str, marts: Warehouse, tmp_path: Path) -> None:
    month = marts.value("select date_trunc('month', max(ordered_on))::date - interval '1 month' from marts.fct_orders")
    first, last = f"{month:%Y-%m-01}", f"{month:%Y-%m-28}"
    answer = api.get("/stores/depot/exports/fct_orders.parquet", key, {}, **{"from": first, "to": last})
    assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))
    file = tmp_path / "it.parquet"
    file.write_bytes(answer.content)
    with closing(duckdb.connect()) as reader:
        found = reader.execute(f"select count(*), sum(net_sales) from '{file}'").fetchall()[0]
    assert found[0] > 0
    assert [found] == marts.query(
        "select count(*), sum(net_sales) from marts.fct_orders "
        "where tenant_id = 'depot' and ordered_on between %s and %s",
        first,
        last,
    )


@pytest.fixture
def loyal(marts: Warehouse) -> Iterator[int]:
    """The id of a segment of `depot`, with its members in the marts."""
    with marts.database.connect() as connection:
        saved = save_segment(connection, "depot", "Loyal", "number_of_orders >= 2").segment_id
    marts.transform("depot")
    yield saved
    with marts.database.connect() as connection:
        remove_segment(connection, "depot", saved)
    marts.transform("depot")


@pytest.mark.thorough
def test_an_export_of_a_segment_has_the_rows_of_its_members_and_no_others(
    api: Api, key: str, viewer: str, marts: Warehouse, tmp_path: Path, loyal: int
) -> None:
    file = tmp_path / "it.parquet"
    last = marts.value("select max(ordered_on) from marts.fct_orders where tenant_id = 'depot'")
    month = {"from": str(last - timedelta(days=30)), "to": str(last)}
    for mart, identity, dated in (
        ("dim_customers", "customer_id", None),
        ("fct_orders", "order_id", "ordered_on"),
        ("customer_timeline", "event_id", None),
        ("rfm_scores", "customer_id", None),
    ):
        for days in ({}, month) if dated else ({},):
            query = f"""
                select {identity}::text from marts.{mart} where tenant_id = 'depot'
                and customer_id in (
                    select customer_id from marts.dim_customers where tenant_id = 'depot' and orders_count >= 2
                )
                {f"and {dated} between '{month['from']}' and '{month['to']}'" if days else ""} order by 1
                """
            wanted = [row[0] for row in marts.query(query)]
            assert 0 < len(wanted) < marts.value(f"select count(*) from marts.{mart}")
            for secret in (key, viewer):
                answer = api.get(f"/stores/depot/exports/{mart}.csv", secret, {}, segment=loyal, **days)
                rows = csv.DictReader(io.StringIO(answer.text, newline=""))
                assert sorted(row[identity] for row in rows) == wanted, (mart, days)
            file.write_bytes(api.get(f"/stores/depot/exports/{mart}.parquet", key, {}, segment=loyal, **days).content)
            with closing(duckdb.connect()) as reader:
                found = reader.execute(f"select {identity}::varchar from '{file}' order by 1").fetchall()
            assert [row[0] for row in found] == wanted, (mart, days)


@pytest.mark.thorough
def test_a_segment_that_cannot_be_exported_by_is_a_problem(api: Api, key: str, loyal: int) -> None:
    for path, segment, status in (
        ("shelf/exports/fct_orders", loyal, 404),
        ("depot/exports/fct_orders", loyal + 1, 404),
        ("depot/exports/fct_orders", 2**63 - 1, 404),
        ("depot/exports/fct_orders", 2**63, 422),
        ("depot/exports/fct_orders", 0, 422),
        ("depot/exports/fct_orders", "x", 422),
        ("depot/exports/dim_products", loyal, 422),
    ):
        for file_format in ("csv", "parquet"):
            answer = api.get(f"/stores/{path}.{file_format}", key, {}, segment=segment)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


def test_what_has_not_changed_is_not_sent_again(api: Api, key: str, viewer: str) -> None:
    for path in ("/stores/depot/exports/dim_products.csv", "/stores/depot/exports/dim_products.parquet"):
        etag = api.get(path, key).headers["etag"]
        again = api.get(path, key, {"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert api.get(path, viewer, {"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("path", "parameters", "status", "detail"),
    [
        ("depot/exports/orders.csv", {}, 404, "There is no mart 'orders'."),
        ("depot/exports/pg_authid.parquet", {}, 404, "There is no mart 'pg_authid'."),
        ("depot/exports/dim_products.csv", {"from": "2026-01-01"}, 422, "The rows of dim_products have no date."),
        ("depot/exports/fct_orders.csv", {"from": "2026-02-01", "to": "2026-01-01"}, 422, "No day is from"),
        ("nowhere/exports/fct_orders.csv", {}, 404, "The key sees no store of this handle."),
        ("depot/exports/fct_orders.xlsx", {}, 404, "There is no such thing."),
    ],
)
def test_what_cannot_be_exported_is_a_problem(
    api: Api, key: str, path: str, parameters: dict[str, str], status: int, detail: str
) -> None:
    answer = api.get(f"/stores/{path}", key, {}, **parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"].startswith(detail)


def test_a_viewer_sees_no_other_store(api: Api, viewer: str) -> None:
    assert api.get("/stores/shelf/exports/fct_orders.csv", viewer).status_code == 404


def test_without_pyarrow_parquet_is_a_problem_that_says_so(api: Api, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = api.get("/stores/depot/exports/fct_orders.parquet", key)
    assert answer.status_code == 501
    assert "pip install pyarrow" in answer.json()["detail"]
    assert api.get("/stores/depot/exports/fct_orders.csv", key).status_code == 200


def test_there_are_few_exports_at_once(api: Api, key: str) -> None:
    with ExitStack() as others:
        for _ in range(downloads._AT_ONCE):
            others.enter_context(downloads.one_download())
        answer = api.get("/stores/depot/exports/fct_orders.csv", key)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    assert api.get("/stores/depot/exports/fct_orders.csv", key).status_code == 200


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_client_that_leaves_frees_what_it_held(api: Api, key: str, marts: Warehouse, version: str) -> None:
    sent: list[bytes] = []
    left = asyncio.Event()

    async def send(message: Message) -> None:
        if message.get("body"):
            sent.append(message["body"])
            left.set()
            if version == "2.4":  # by then a server says so when it is sent to
                raise OSError("the client has gone away")
            await asyncio.sleep(60)

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": version},
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/stores/depot/exports/fct_orders.csv",
        "raw_path": b"/api/v1/stores/depot/exports/fct_orders.csv",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def leave() -> None:
        with suppress(ClientDisconnect):
            await asyncio.wait_for(api.client.app(scope, receive, send), 20)

    asyncio.run(leave())

    assert len(sent) == 1
    assert len(sent[0]) < len(owners_csv(marts, Selection("depot", find_mart("fct_orders"))))
    assert marts.value("select count(*) from pg_stat_activity where usename = 'xeno_serving' and state <> 'idle'") == 0
