"""The sandbox's webhooks: signed, complete, repeated until answered, twice or out of order when told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shopify_sandbox.control import ControlError, StoreControl
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec

SECRET = "shpss_sandbox"
SECONDS = 30
"""For a delivery over loopback, while other tests use the machine."""


@dataclass
class Received:
    """One attempt of a delivery."""

    headers: dict[str, str]
    body: bytes

    @property
    def topic(self) -> str:
        return self.headers["x-shopify-topic"]

    @property
    def payload(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass
class Receiver:
    """Whoever webhooks go to."""

    url: str
    came: queue.Queue[Received] = field(default_factory=queue.Queue)
    statuses: list[int] = field(default_factory=list)
    """Answers to the next attempts; 200 afterwards."""

    def next(self, count: int) -> list[Received]:
        """The next so many attempts."""
        return [self.came.get(timeout=SECONDS) for _ in range(count)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.came.put(Received({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    names = [f"hooks-{number}" for number in range(20)]
    specs = [StoreSpec(name, orders=40, timezone="America/New_York", seed=1) for name in names]
    with SandboxProcess(specs, tmp_path_factory.mktemp("stores")) as process:
        yield process


@pytest.fixture(scope="module")
def _names() -> Iterator[int]:
    return iter(range(20))


@pytest.fixture
def store(stores: SandboxProcess, _names: Iterator[int]) -> StoreControl:
    return stores.control.store(f"hooks-{next(_names)}")


def test_a_delivery_is_signed_and_has_all_headers(store: StoreControl, receiver: Receiver) -> None:
    store.send_webhooks(receiver.url, SECRET)
    (order,) = store.place_order(guest=True)["orders"]
    (came,) = receiver.next(1)

    digest = hmac.new(SECRET.encode(), came.body, hashlib.sha256).digest()
    assert came.headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()
    assert came.topic == "orders/create"
    assert came.headers["x-shopify-shop-domain"] == f"{store.api_url.rpartition('/')[2]}.myshopify.com"
    assert {"x-shopify-webhook-id", "x-shopify-event-id", "x-shopify-triggered-at", "x-shopify-api-version"} <= set(
        came.headers
    )
    assert came.payload["admin_graphql_api_id"] == f"gid://shopify/Order/{order}"
    assert came.payload["updated_at"].endswith(("-04:00", "-05:00")), "in the shop's zone"


@pytest.mark.parametrize(
    ("change", "topics"),
    [
        (lambda store: store.place_order(new_customer=True), ["customers/create", "orders/create"]),
        (lambda store: store.update_order(), ["orders/updated"]),
        (lambda store: store.refund(), ["customers/update", "orders/updated", "refunds/create"]),
        (lambda store: store.create_product(), ["products/create"]),
        (lambda store: store.update_product(), ["products/update"]),
        (lambda store: store.delete_product(), ["products/delete"]),
        (lambda store: store.start_checkout(guest=True), ["checkouts/create"]),
        (lambda store: store.create_customer(), ["customers/create"]),
    ],
)
def test_a_change_fires_the_topics_it_fires_at_shopify(
    store: StoreControl, receiver: Receiver, change: Callable[[StoreControl], Any], topics: list[str]
) -> None:
    store.send_webhooks(receiver.url, SECRET)
    change(store)
    came = receiver.next(len(topics))
    assert sorted(each.topic for each in came) == topics
    assert len({each.headers["x-shopify-event-id"] for each in came}) == 1
    assert len({each.headers["x-shopify-webhook-id"] for each in came}) == len(topics)


def test_a_merge_names_who_was_kept_and_who_is_gone(store: StoreControl, receiver: Receiver) -> None:
    kept, gone = (store.create_customer()["customers"][0] for _ in range(2))
    store.send_webhooks(receiver.url, SECRET)
    store.merge_customers(kept, gone)
    came = {each.topic: each.payload for each in receiver.next(2)}
    assert came["customers/merge"]["admin_graphql_api_customer_kept_id"] == f"gid://shopify/Customer/{kept}"
    assert came["customers/merge"]["admin_graphql_api_customer_deleted_id"] == f"gid://shopify/Customer/{gone}"


def test_what_is_not_answered_with_200_is_sent_again_as_it_was(store: StoreControl, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    store.send_webhooks(receiver.url, SECRET)
    store.update_product()
    came = receiver.next(3)
    assert len({each.headers["x-shopify-webhook-id"] for each in came}) == 1
    assert len({each.body for each in came}) == 1
    deadline = time.monotonic() + SECONDS
    while store.webhooks()["waiting"] and time.monotonic() < deadline:  # the last answer is on its way back
        time.sleep(0.01)
    assert store.webhooks() == {"waiting": 0, "answered": 1, "refused": 2, "given_up": 0}


def test_deliveries_come_twice_when_told(store: StoreControl, receiver: Receiver) -> None:
    store.send_webhooks(receiver.url, SECRET, duplicates=1.0)
    store.update_product()
    first, second = receiver.next(2)
    assert first.headers["x-shopify-webhook-id"] == second.headers["x-shopify-webhook-id"]


def test_deliveries_come_out_of_order_when_told(store: StoreControl, receiver: Receiver) -> None:
    products = [store.create_product()["products"][0] for _ in range(12)]
    store.send_webhooks(receiver.url, SECRET, disorder=1.0, seed=3)
    for product in products:
        store.update_product(product)
    came = [each.payload["id"] for each in receiver.next(len(products))]
    assert Counter(came) == Counter(products)
    assert came != products


def test_what_is_no_subscription_is_told_in_a_sentence(store: StoreControl) -> None:
    with pytest.raises(ControlError, match="This is no subscription"):
        store.post("webhooks", address="http://127.0.0.1:9")


def test_a_subscription_is_remembered_over_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    with SandboxProcess([StoreSpec("again", orders=5)], tmp_path) as process:
        process.control.store("again").send_webhooks(receiver.url, SECRET)
        process.stop()
        process.start()
        process.control.store("again").update_product()
        assert receiver.next(1)[0].topic == "products/update"
