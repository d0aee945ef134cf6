"""Syncs by HTTP: requested, read, and followed as a stream of events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest

from tests.support.insights import Api, api_over
from tests.support.registered import register
from tests.support.serving import key_for
from xeno_pipeline.access.grants import make_key, revoke
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.api.event_streams import EventStreams, event
from xeno_pipeline.api.problems import ProblemError
from xeno_pipeline.api.routes.syncs import StreamName
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.report import Progress
from xeno_pipeline.extraction.streams import STREAM_NAMES
from xeno_pipeline.extraction.sync_progress import RecordedRun, SyncProgress
from xeno_pipeline.tenants import registry, syncs

if TYPE_CHECKING:
    from httpx import Response

    from tests.support.marts.warehouse import Warehouse

SYNCS = "/stores/acme/syncs"


@pytest.fixture(scope="module")
def database(make_warehouse: Callable[[], Warehouse]) -> Database:
    found = make_warehouse().database
    register(found, "acme", "globex")
    return found


@pytest.fixture(scope="module")
def api(database: Database) -> Iterator[Api]:
    with api_over(database) as api:
        api.streams.longest_seconds = 60.0
        yield api


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return key_for(database, ["acme"], Scope.SYNC)


@pytest.fixture(autouse=True)
def _no_syncs(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("delete from ops.syncs")
        connection.execute("update ops.tenants set status = 'active'")


def post(api: Api, key: str, body: Any = None, path: str = SYNCS) -> Response:
    content = b"" if body is None else orjson.dumps(body)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return api.client.post(f"/api/v1{path}", headers=headers, content=content)


def run(database: Database, run_id: str, **reasons: str) -> None:
    """A run that does what is queued for acme."""
    with database.connect() as connection:
        begun = syncs.begin(connection, run_id, ["acme"], is_full=True, streams=[])
    with SyncProgress(database, RecordedRun(run_id, "Dagster"), begun) as progress:
        progress.add(Progress("acme", "orders", "loading", 70, 100))
    with database.connect() as connection:
        syncs.finish(connection, run_id, ["acme"], reasons)


def events(text: str) -> list[dict[str, str]]:
    """The events of a stream."""
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]


def test_a_request_is_accepted_and_found_where_the_answer_says(api: Api, key: str) -> None:
    answer = post(api, key, {"full": True, "streams": ["orders"]})
    assert answer.status_code == 202
    sync = answer.json()["data"]
    assert answer.headers["location"] == f"/api/v1{SYNCS}/{sync['sync_id']}"
    assert (sync["state"], sync["full"], sync["streams"]) == ("queued", True, ["orders"])
    assert sync["requested_by"].startswith("key-")
    found = api.client.get(answer.headers["location"], headers={"Authorization": f"Bearer {key}"}).json()
    assert found["data"]["sync_id"] == sync["sync_id"]
    assert found["store"] == "acme"
    listed = api.get(SYNCS, key).json()
    assert ([each["sync_id"] for each in listed["data"]], listed["next"]) == ([sync["sync_id"]], None)


def test_an_empty_request_is_for_all_streams_and_the_same_twice(api: Api, key: str) -> None:
    first, second = post(api, key), post(api, key, {})
    assert first.json()["data"]["streams"] == []
    assert first.headers["location"] == second.headers["location"]


def test_a_request_for_more_than_is_queued_conflicts(api: Api, key: str) -> None:
    sync_id = post(api, key).json()["data"]["sync_id"]
    problem = post(api, key, {"full": True})
    assert (problem.status_code, problem.headers["content-type"]) == (409, "application/problem+json")
    assert str(sync_id) in problem.json()["detail"]
    assert problem.json()["remedy"] == "Request it again when that one has finished."


@pytest.mark.parametrize(
    "body",
    [
        {"full": "yes"},
        {"full": 1},
        {"streams": ["orderz"]},
        {"streams": "orders"},
        {"streams": ["orders"] * 11},
        {"streams": None},
        {"store": "globex"},
        [],
        "full",
    ],
)
def test_what_is_no_request_is_told_so(api: Api, key: str, body: Any) -> None:
    problem = post(api, key, body)
    assert problem.status_code == 422
    assert problem.json()["errors"]
    assert api.get(SYNCS, key).json()["data"] == []


def test_a_key_without_the_scope_reads_and_requests_nothing(api: Api, database: Database) -> None:
    reader = key_for(database, ["acme"])
    assert api.get(SYNCS, reader).status_code == 200
    problem = post(api, reader)
    assert problem.status_code == 403
    assert "`sync`" in problem.json()["detail"]


def test_stores_that_are_not_the_keys_or_suspended_are_not_there(api: Api, database: Database, key: str) -> None:
    sync_id = post(api, key).json()["data"]["sync_id"]
    with database.connect() as connection:
        other = syncs.request(connection, "globex", is_full=False, streams=[], by="key-0")
        registry.set_status(connection, "acme", "suspended")
    for path in (SYNCS, f"{SYNCS}/{sync_id}", f"{SYNCS}/{sync_id}/events", "/stores/globex/syncs"):
        assert api.get(path, key).status_code == 404
    assert post(api, key).status_code == post(api, key, path="/stores/globex/syncs").status_code == 404
    with database.connect() as connection:
        registry.set_status(connection, "acme", "active")
    for path in (f"{SYNCS}/{other}", f"{SYNCS}/{other}/events", f"{SYNCS}/{10**17}"):
        assert api.get(path, key).status_code == 404


def test_a_sync_is_followed_until_it_ends(api: Api, database: Database, key: str) -> None:
    path = f"{SYNCS}/{post(api, key).json()['data']['sync_id']}"
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(api.get, f"{path}/events", key)
        run(database, "failing", acme="the token was refused")
        answer = following.result(30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    first, *_, last = events(answer.text)
    assert first == {"retry": "3000"}
    assert last["event"] == "end"
    sync = orjson.loads(last["data"])
    assert sync == api.get(path, key).json()["data"]
    assert (sync["state"], sync["reason"]) == ("failed", "the token was refused")
    (orders,) = sync["progress"]
    assert (orders["stream"], orders["records"], orders["total"]) == ("orders", 70, 100)


def test_a_client_that_has_seen_the_end_is_told_to_stay_away(api: Api, database: Database, key: str) -> None:
    path = f"{SYNCS}/{post(api, key).json()['data']['sync_id']}/events"
    run(database, "quick")
    *_, last = events(api.get(path, key).text)
    assert last["event"] == "end"
    again = api.get(path, key, {"Last-Event-ID": last["id"]})
    assert (again.status_code, again.content) == (204, b"")
    assert events(api.get(path, key, {"Last-Event-ID": "of another world"}).text)[-1] == last


def test_who_loses_the_key_while_following_is_told_and_hears_no_more(api: Api, database: Database) -> None:
    with database.connect() as connection:
        secret = make_key(connection, "to-be-revoked", ["acme"], (Scope.READ, Scope.SYNC))
    path = f"{SYNCS}/{post(api, secret).json()['data']['sync_id']}/events"
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(api.get, path, secret)
        await_stream(api)
        with database.connect() as connection:
            revoke(connection, "to-be-revoked")
        *_, last = events(following.result(30).text)
    assert last["event"] == "problem"
    assert orjson.loads(last["data"])["status"] == 401


def await_stream(api: Api) -> None:
    """Wait until a stream is open."""
    for _ in range(1000):
        if api.streams._open:
            return
        time.sleep(0.02)
    raise AssertionError("No stream was opened within twenty seconds.")


def test_the_streams_that_can_be_asked_for_are_those_that_there_are() -> None:
    assert get_args(StreamName) == STREAM_NAMES


def test_a_key_has_so_many_streams_open_and_no_more() -> None:
    streams = EventStreams(of_a_key=2)

    async def endless() -> AsyncIterator[str]:
        while True:
            yield event("progress", "{}", "1")

    async def follow() -> None:
        opened: list[Any] = [streams.answer("key", endless(), {}).body_iterator for _ in range(2)]
        for each in opened:
            assert [await anext(each), await anext(each)] == ["retry: 3000\n\n", "id: 1\nevent: progress\ndata: {}\n\n"]
        with pytest.raises(ProblemError) as refused:
            streams.answer("key", endless(), {})
        assert refused.value.document.status == 429
        streams.answer("another", endless(), {})
        await opened[0].aclose()
        streams.answer("key", endless(), {})

    asyncio.run(follow())
