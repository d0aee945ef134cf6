"""A store with the slowest plan is read without ever being throttled, on a fake clock."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from shopify_sandbox.api import AdminApi
from shopify_sandbox.server import create_app
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.support.fake_shop import FakeClock
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.pagination import Pager

SINCE = datetime(2000, 1, 1, tzinfo=UTC)


class SlowStore:
    """A sandbox store with the slowest plan, whose bucket refills by a fake clock."""

    def __init__(self, clock: FakeClock, state_dir: Path) -> None:
        spec = StoreSpec("slow", orders=60, plan="Standard", until=datetime(2026, 6, 30, tzinfo=UTC))
        self.clock = clock
        self.app = create_app([spec], state_dir, monotonic=clock)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="error"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/slow"
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def client(self) -> ShopifyClient:
        clock = self.clock
        return ShopifyClient(tenant="slow", api_url=self.url, token=DEFAULT_TOKEN, clock=clock, sleep=clock.sleep)

    @property
    def api(self) -> AdminApi:
        api: AdminApi = self.app.state.sandbox.stores.get("slow")
        return api

    def __enter__(self) -> SlowStore:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def slow_store(tmp_path: Path) -> Iterator[SlowStore]:
    with SlowStore(FakeClock(), tmp_path) as store:
        yield store


@pytest.mark.thorough
def test_a_long_read_of_a_slow_store_is_never_throttled(slow_store: SlowStore) -> None:
    client = slow_store.client()
    for _ in range(10):
        read = [Pager(client, stream.pages).changes(SINCE) for stream in STREAMS]
        assert sum(len(page.nodes) for pages in read for page in pages) > 60
    stats = slow_store.api.stats
    assert (stats.throttled, client.usage.retries) == (0, 0)
    assert client.usage.requests == stats.requests
    assert client.usage.points == stats.points > 2 * slow_store.api.bucket.maximum  # so that it had to wait
    assert client.usage.seconds_waiting > 20


def test_streams_side_by_side_on_one_client_are_never_throttled(slow_store: SlowStore) -> None:
    client = slow_store.client()
    slow_store.api.bucket.charge(1_400)
    counts: list[int] = []

    def read(pager: Pager) -> None:
        counts.append(sum(len(page.nodes) for _ in range(2) for page in pager.changes(SINCE)))

    threads = [threading.Thread(target=read, args=(Pager(client.clone(), s.pages),)) for s in (*STREAMS, *STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counts) == len(threads)
    assert slow_store.api.stats.throttled == 0


@pytest.mark.thorough
def test_two_clients_that_drink_from_one_bucket_are_never_throttled(slow_store: SlowStore) -> None:
    """Two processes, say: neither knows of the other's calls."""
    slow_store.api.bucket.charge(1_200)
    clients = [slow_store.client() for _ in range(2)]
    turns = [Pager(client, STREAMS[2].pages).changes(SINCE) for _ in range(8) for client in clients]
    while turns:
        turns = [pages for pages in turns if next(pages, None) is not None]
    assert all(client.usage.seconds_waiting > 0 for client in clients)
    assert slow_store.api.stats.throttled == 0
