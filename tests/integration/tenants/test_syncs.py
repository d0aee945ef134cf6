"""Requested syncs: one at a time for a store, and each has an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support.registered import register
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import UsageError
from xeno_pipeline.tenants import registry, syncs
from xeno_pipeline.tenants.syncs import SyncConflictError


@pytest.fixture(scope="module")
def stores(make_database: Callable[[], Database]) -> Database:
    database = make_database()
    register(database, *(f"store-{number}" for number in range(20)))
    return database


@pytest.fixture
def connection(stores: Database):
    with stores.connect() as connection:
        yield connection
        connection.rollback()


def ask(connection: Connection, *streams: str, full: bool = False, tenant: str = "store-0") -> int:
    return syncs.request(connection, tenant, is_full=full, streams=streams, by="key test")


def begin(connection: Connection, *streams: str, full: bool = False, run_id: str = "run") -> dict[str, int]:
    return syncs.begin(connection, run_id, ["store-0"], is_full=full, streams=streams)


def state(connection: Connection, sync_id: int) -> tuple[object, ...]:
    row = connection.execute("select state, reason from ops.syncs where sync_id = %s", [sync_id]).fetchone()
    assert row is not None
    return row


def test_a_second_request_while_one_is_queued_or_running_is_the_same(connection: Connection) -> None:
    first = ask(connection)
    assert ask(connection) == ask(connection, "orders") == first
    assert begin(connection) == {"store-0": first}
    assert ask(connection) == first
    syncs.finish(connection, "run", ["store-0"], {})
    assert state(connection, first) == ("succeeded", None)
    assert ask(connection) != first


@pytest.mark.parametrize(
    ("first", "second"),
    [(([], False), ([], True)), ((["orders"], False), ([], False)), ((["shop"], True), (["orders"], True))],
)
def test_a_request_for_more_than_the_one_that_is_queued_conflicts_with_it(
    connection: Connection, first: tuple[list[str], bool], second: tuple[list[str], bool]
) -> None:
    sync_id = ask(connection, *first[0], full=first[1])
    with pytest.raises(SyncConflictError, match=f"store-0: sync {sync_id} is queued or running") as raised:
        ask(connection, *second[0], full=second[1])
    assert raised.value.sync_id == sync_id


def test_of_many_requests_at_once_one_is_queued(stores: Database) -> None:
    barrier = threading.Barrier(8)

    def at_once(_: int) -> int:
        with stores.connect() as connection:
            barrier.wait()
            return ask(connection, tenant="store-1")

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(at_once, range(8)))

    assert len(ids) == 1
    with stores.connect() as connection:
        assert [sync.sync_id for sync in syncs.due(connection) if sync.tenant_id == "store-1"] == list(ids)


@pytest.mark.parametrize(
    ("streams", "full", "is_begun"),
    [(["orders", "shop"], False, True), ([], True, True), (["orders"], True, True), (["shop"], False, False)],
)
def test_a_run_begins_a_sync_if_it_reads_as_much(
    connection: Connection, streams: list[str], full: bool, is_begun: bool
) -> None:
    sync_id = ask(connection, "orders")
    assert begin(connection, *streams, full=full) == ({"store-0": sync_id} if is_begun else {})


def test_a_run_of_some_streams_begins_no_sync_of_all(connection: Connection) -> None:
    ask(connection)
    assert begin(connection, "orders") == {}


def test_a_failure_is_final_for_a_request_and_not_for_a_first_read(connection: Connection) -> None:
    sync_id = ask(connection)
    begin(connection)
    syncs.finish(connection, "run", ["store-0"], {"store-0": "no token " + "x" * 10_000})
    assert state(connection, sync_id) == ("failed", ("no token " + "x" * 10_000)[:2000])
    syncs.request_first_read(connection, "store-0")
    first_read = begin(connection, run_id="another")["store-0"]
    syncs.finish(connection, "another", ["store-0"], {"store-0": "no token"})
    assert state(connection, first_read) == ("queued", "no token")
    assert "store-0" not in {sync.tenant_id for sync in syncs.due(connection)}  # not yet


def test_a_store_that_is_connected_again_turns_its_request_into_a_first_read(connection: Connection) -> None:
    sync_id = ask(connection, "orders")
    syncs.request_first_read(connection, "store-0")
    syncs.request_first_read(connection, "store-0")
    (due,) = (sync for sync in syncs.due(connection) if sync.tenant_id == "store-0")
    assert (due.sync_id, due.streams) == (sync_id, ())


def test_a_store_that_is_suspended_while_it_is_synced_has_its_request_refused(connection: Connection) -> None:
    sync_id = ask(connection)
    begin(connection)
    registry.set_status(connection, "store-0", "suspended")
    syncs.finish(connection, "run", ["store-0"], {})
    assert state(connection, sync_id) == ("refused", "The store is suspended: resume it, then request the sync again.")


def test_an_unknown_tenant_has_no_sync(connection: Connection) -> None:
    with pytest.raises(UsageError, match="There is no tenant 'nobody'"):
        ask(connection, tenant="nobody")


@pytest.mark.parametrize("streams", [["x" * 500], [str(number) for number in range(30)]])
def test_names_without_end_are_refused(connection: Connection, streams: list[str]) -> None:
    with pytest.raises(UsageError, match="too long"):
        ask(connection, *streams)


def test_old_syncs_are_purged_and_unfinished_ones_kept(connection: Connection) -> None:
    old = ask(connection)
    begin(connection)
    syncs.finish(connection, "run", ["store-0"], {})
    kept = ask(connection)
    connection.execute("update ops.syncs set finished_at = now() - interval '31 days' where sync_id = %s", [old])
    syncs.purge(connection, timedelta(days=30))
    assert connection.execute("select sync_id from ops.syncs where tenant_id = 'store-0'").fetchall() == [(kept,)]


def subscribe(connection: Connection, minutes_after_the_sync: int, tenant: str = "store-0") -> None:
    """Its webhooks were subscribed half an hour ago, so long after its last sync had begun to read."""
    connection.execute(
        """
        insert into ops.webhook_subscriptions (tenant_id, callback_url, renewed_at)
        values (%s, 'https://xeno.example', clock_timestamp() - interval '30 minutes')
        """,
        [tenant],
    )
    connection.execute(
        """
        update ops.sync_state set asked_at = renewed_at - make_interval(mins => %s)
        from ops.webhook_subscriptions subscribed
        where subscribed.tenant_id = sync_state.tenant_id and subscribed.tenant_id = %s
        """,
        [minutes_after_the_sync, tenant],
    )


def requested(connection: Connection) -> list[str]:
    """The tenants that have a queued sync for their subscriptions."""
    syncs.request_after_subscription(connection)
    rows = connection.execute(
        "select tenant_id from ops.syncs where state = 'queued' and requested_by like '%subscriptions' order by 1"
    )
    return [tenant_id for (tenant_id,) in rows]


def test_only_a_store_that_was_not_read_since_its_webhooks_were_subscribed_is_synced(connection: Connection) -> None:
    for number in range(6):
        subscribe(connection, minutes_after_the_sync=-1 if number == 1 else 1, tenant=f"store-{number}")
    registry.set_status(connection, "store-2", "suspended")
    ask(connection, tenant="store-3")  # which reads it too
    connection.execute("update ops.sync_state set history_loaded_at = null where tenant_id = 'store-4'")
    connection.execute("update ops.webhook_subscriptions set renewed_at = null where tenant_id = 'store-5'")
    assert requested(connection) == ["store-0"]
    assert requested(connection) == ["store-0"], "it is requested once"


def test_a_sync_that_began_before_the_subscription_is_followed_by_one_other_whatever_becomes_of_it(
    connection: Connection,
) -> None:
    first = ask(connection)
    connection.execute("update ops.syncs set requested_at = clock_timestamp() - interval '1 hour'")
    begin(connection)
    subscribe(connection, minutes_after_the_sync=1)
    assert requested(connection) == [], "one at a time"

    syncs.finish(connection, "run", ["store-0"], {})
    assert requested(connection) == ["store-0"]
    assert first not in begin(connection, run_id="another").values()
    syncs.finish(connection, "another", ["store-0"], {"store-0": "no token"})
    assert requested(connection) == [], "the hourly sync goes on"


def test_a_sync_of_some_streams_is_not_enough_after_a_subscription(connection: Connection) -> None:
    subscribe(connection, minutes_after_the_sync=1)
    ask(connection, "orders")
    begin(connection, "orders")
    syncs.finish(connection, "run", ["store-0"], {})
    assert requested(connection) == ["store-0"]
