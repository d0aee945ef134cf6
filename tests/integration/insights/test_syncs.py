"""Syncs that are requested and followed: what the API answers about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from psycopg import errors

from tests.support.registered import register
from tests.support.serving import key_for, serving_pool
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.database.connection import Database
from xeno_pipeline.errors import UsageError
from xeno_pipeline.extraction.report import Progress
from xeno_pipeline.extraction.streams import STREAM_NAMES
from xeno_pipeline.extraction.sync_progress import RecordedRun, SyncProgress
from xeno_pipeline.insights.syncs import (
    Sync,
    SyncEvent,
    UnknownSyncError,
    event_of,
    follow_sync,
    list_syncs,
    read_sync,
    request_sync,
)
from xeno_pipeline.tenants import registry, syncs
from xeno_pipeline.tenants.syncs import SyncConflictError


@pytest.fixture(scope="module")
def shared(make_database: Callable[[], Database]) -> Database:
    database = make_database()
    register(database, "acme", "globex")
    return database


@pytest.fixture
def stores(shared: Database) -> Database:
    """Two stores without any sync."""
    with shared.connect() as connection:
        connection.execute("delete from ops.syncs")
        connection.execute("update ops.tenants set status = 'active'")
    return shared


@pytest.fixture(scope="module")
def pool(shared: Database) -> Iterator[ServingPool]:
    with serving_pool(shared) as opened:
        yield opened


def ask(stores: Database, *streams: str, full: bool = False, tenant: str = "acme") -> Sync:
    with stores.connect() as connection:
        return request_sync(connection, tenant, full=full, streams=streams, by="key test")


def reader(stores: Database, sync: Sync) -> Callable[[], Sync]:
    def read() -> Sync:
        with stores.connect() as connection:
            return read_sync(connection, sync.store, sync.sync_id)

    return read


def begin(stores: Database, run_id: str) -> SyncProgress:
    with stores.connect() as connection:
        begun = syncs.begin(connection, run_id, ["acme"], is_full=False, streams=[])
    return SyncProgress(stores, RecordedRun(run_id, "hourly_sync"), begun, seconds_between=0.0)


def finish(stores: Database, run_id: str, **reasons: str) -> None:
    with stores.connect() as connection:
        syncs.finish(connection, run_id, ["acme"], reasons)


def test_a_request_is_answered_with_a_sync_that_is_queued(stores: Database) -> None:
    sync = ask(stores, "shop", "orders", "orders")
    assert (sync.store, sync.state, sync.kind, sync.full) == ("acme", "queued", "request", False)
    assert sync.streams == ["shop", "orders"]
    assert sync.seconds_queued is not None
    assert sync.seconds_queued >= 0
    assert ask(stores, "orders").sync_id == sync.sync_id
    with pytest.raises(SyncConflictError, match=f"sync {sync.sync_id}"):
        ask(stores)
    assert ask(stores, *STREAM_NAMES, tenant="globex").streams == []


@pytest.mark.parametrize("stream", ["orderz", "", "carts", "a\0b", "\ud800"])
def test_a_stream_that_there_is_not_is_refused(stores: Database, stream: str) -> None:
    with pytest.raises(UsageError, match="There is no stream"):
        ask(stores, stream)


def test_a_sync_shows_its_streams_and_its_end(stores: Database) -> None:
    sync = ask(stores)
    with begin(stores, "run") as progress:
        progress.add(Progress("acme", "orders", "loading", 70, 100))
    (stream,) = reader(stores, sync)().progress
    assert (stream.stream, stream.phase, stream.records, stream.total) == ("orders", "loading", 70, 100)
    finish(stores, "run", acme="the token was refused")
    ended = reader(stores, sync)()
    assert (ended.state, ended.reason, ended.seconds_queued) == ("failed", "the token was refused", None)
    assert ended.finished_at is not None


def test_syncs_are_listed_newest_first_whoever_started_them(stores: Database) -> None:
    asked = ask(stores)
    with SyncProgress(stores, RecordedRun("hourly", "hourly_sync"), {}) as progress:
        progress.add(Progress("acme", "orders", "reading", 70))
        progress.add(Progress("globex", "orders", "reading", 70))
    with stores.connect() as connection:
        newest, oldest = list_syncs(connection, "acme").data
        assert (newest.kind, newest.state, newest.requested_by) == ("run", "running", "hourly_sync")
        assert oldest == asked.model_copy(update={"seconds_queued": oldest.seconds_queued})
        page = list_syncs(connection, "acme", limit=1)
        assert page.data == [newest]
        rest = list_syncs(connection, "acme", limit=1, cursor=page.next)
        assert ([sync.sync_id for sync in rest.data], rest.next) == ([oldest.sync_id], None)


@pytest.mark.parametrize("sync_id", [0, -1, 10**6, 10**30])
def test_a_sync_that_there_is_not_is_said_to_be_none(stores: Database, sync_id: int) -> None:
    with stores.connect() as connection, pytest.raises(UnknownSyncError, match="acme: there is no sync"):
        read_sync(connection, "acme", sync_id)


def test_another_stores_sync_is_none(stores: Database) -> None:
    sync = ask(stores)
    with stores.connect() as connection, pytest.raises(UnknownSyncError):
        read_sync(connection, "globex", sync.sync_id)


def test_a_sync_is_followed_to_its_end_and_each_state_is_sent_once(stores: Database) -> None:
    sync = ask(stores)

    async def follow() -> list[SyncEvent]:
        events: list[SyncEvent] = []
        async for event in follow_sync(reader(stores, sync), seconds_between=0.01):
            assert event is not None
            events.append(event)
            if len(events) == 1:
                with begin(stores, "run"):
                    pass
            elif len(events) == 2:
                with SyncProgress(stores, RecordedRun("run", "x"), {}) as progress:
                    progress.add(Progress("acme", "orders", "loading", 70, 100))
            elif len(events) == 3:
                finish(stores, "run")
        return events

    events = asyncio.run(follow())
    assert [event.sync.state for event in events] == ["queued", "running", "running", "succeeded"]
    assert [len(event.sync.progress) for event in events] == [0, 0, 1, 1]
    assert len({event.id for event in events}) == 4


def test_a_client_that_comes_back_is_not_told_what_it_has_seen(stores: Database) -> None:
    sync = ask(stores)
    seen = event_of(sync).id

    async def follow(last: str | None) -> list[SyncEvent | None]:
        following = follow_sync(
            reader(stores, sync),
            last_event_id=last,
            seconds_between=0.01,
            seconds_between_heartbeats=0.0,
            at_most_seconds=0.2,
        )
        return [event async for event in following]

    quiet = asyncio.run(follow(seen))
    assert len(quiet) > 1
    assert set(quiet) == {None}
    first, *others = asyncio.run(follow("of another world"))
    assert first is not None
    assert first.id == seen
    assert set(others) <= {None}


def test_who_follows_a_store_that_goes_away_is_told_so(stores: Database) -> None:
    sync = ask(stores)

    async def follow() -> None:
        async for _ in follow_sync(reader(stores, sync), seconds_between=0.01):
            with stores.connect() as connection:
                connection.execute("delete from ops.syncs")

    with pytest.raises(UnknownSyncError):
        asyncio.run(follow())


def test_a_key_requests_and_sees_the_syncs_of_its_own_stores(stores: Database, pool: ServingPool) -> None:
    other = ask(stores, tenant="globex")
    with begin(stores, "run") as progress:
        progress.add(Progress("acme", "orders", "reading", 70))
        progress.add(Progress("globex", "orders", "reading", 70))
    secret = key_for(stores, ["acme"], Scope.SYNC)
    with pool.unlocked(secret, writes=True) as (connection, _):
        sync = request_sync(connection, "acme", by="key nightly")
        assert request_sync(connection, "acme", streams=["orders"], by="key nightly").sync_id == sync.sync_id
    with pool.unlocked(secret) as (connection, _):
        assert {(each.store, len(each.progress)) for each in list_syncs(connection, "acme").data} == {
            ("acme", 0),
            ("acme", 1),
        }
        assert list_syncs(connection, "globex").data == []
        with pytest.raises(UnknownSyncError):
            read_sync(connection, "acme", other.sync_id)
        seen = connection.execute("select distinct tenant_id from ops.sync_progress").fetchall()
    assert seen == [("acme",)]


@pytest.mark.parametrize("tenant", ["acme", "globex", "nobody"])
def test_the_database_refuses_a_request_for_a_store_without_the_scope(
    stores: Database, pool: ServingPool, tenant: str
) -> None:
    secret = key_for(stores, ["acme"])
    with pytest.raises(errors.InsufficientPrivilege), pool.unlocked(secret, writes=True) as (connection, _):
        request_sync(connection, tenant, by="key nightly")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ops.syncs (tenant_id, requested_by, kind) values ('acme', 'me', 'first_read')",
        "insert into ops.syncs (tenant_id, requested_by, state) values ('acme', 'me', 'running')",
        "insert into ops.sync_progress values (1, 'acme', 'orders', 'done', 1)",
        "update ops.syncs set state = 'failed'",
        "delete from ops.syncs",
    ],
)
def test_a_key_can_request_and_nothing_else(stores: Database, pool: ServingPool, statement: str) -> None:
    secret = key_for(stores, ["acme"], Scope.SYNC)
    with pytest.raises(errors.InsufficientPrivilege), pool.unlocked(secret, writes=True) as (connection, _):
        connection.execute(statement)


def test_a_suspended_store_takes_no_request(stores: Database, pool: ServingPool) -> None:
    secret = key_for(stores, ["acme", "globex"], Scope.SYNC)
    with stores.connect() as connection:
        registry.set_status(connection, "acme", "suspended")
    with pytest.raises(errors.InsufficientPrivilege), pool.unlocked(secret, writes=True) as (connection, _):
        request_sync(connection, "acme", by="key nightly")
