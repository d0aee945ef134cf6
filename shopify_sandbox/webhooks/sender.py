"""Sending webhooks as Shopify does: signed, with all headers, repeated until answered, in no promised order."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import heapq
import hmac
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import requests

from shopify_sandbox.state.store import Store
from shopify_sandbox.webhooks.payloads import Webhook
from shopify_sandbox.webhooks.subscriptions import Subscriptions

_API_VERSION = "2026-10"
_CONNECT_SECONDS, _ANSWER_SECONDS = 1.0, 5.0
_RETRIES = 8
_FIRST_RETRY_SECONDS = 1.0
"""Shopify's retries take four hours; a sandbox's are shorter."""

_SENDERS = 4


@dataclass(frozen=True)
class Subscription:
    """Where a store's webhooks go.

    Args:
        url: The receiver; an empty one sends none.
        secret: What they are signed with.
        duplicates: The share of deliveries that come twice although they were answered.
        disorder: How many seconds a delivery may be late, so that later ones overtake it.
        seed: Draws which.
    """

    url: str = ""
    secret: str = ""
    duplicates: float = 0.0
    disorder: float = 0.0
    seed: int = 0


@dataclass(order=True)
class _Delivery:
    due: float
    """By the monotonic clock."""
    number: int
    url: str = field(compare=False)
    headers: dict[str, str] = field(compare=False)
    body: bytes = field(compare=False)
    retries: int = field(default=0, compare=False)


@dataclass
class Counts:
    """What became of a store's deliveries."""

    waiting: int = 0
    """Not answered yet, or under way."""
    answered: int = 0
    refused: int = 0
    """Attempts that were not answered with 200."""
    given_up: int = 0


class WebhookSender:
    """Sends one store's webhooks from threads of its own, which begin with the first one.

    They go to the address of a control request, and where the app has subscribed by the Admin API.

    Args:
        store: Whose webhooks.
        app_secret: Tells what the app's own are signed with.
    """

    def __init__(self, store: Store, app_secret: Callable[[], str]) -> None:
        self._store = store
        self._app_secret = app_secret
        self._queue: list[_Delivery] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._number = 0
        self._counts = Counts()
        self._random = random.Random(0)  # noqa: S311

    def subscribe(self, subscription: Subscription) -> None:
        """Send to this receiver from now on; it is remembered over a restart."""
        self._store.overlay.set("webhooks", asdict(subscription))
        self._random = random.Random(subscription.seed)  # noqa: S311

    def counts(self) -> Counts:
        """What became of the deliveries so far."""
        with self._changed:
            return Counts(**asdict(self._counts))

    def send(self, webhooks: Iterable[Webhook]) -> None:
        """Send the webhooks of one thing that happened, soon."""
        subscription = Subscription(**self._store.overlay.setting("webhooks", {}))
        event_id, triggered_at = str(uuid.uuid4()), datetime.now(UTC).isoformat().replace("+00:00", "Z")
        deliveries = [
            (topic, orjson.dumps(payload), url, secret)
            for topic, payload in webhooks
            for url, secret in self._receivers(topic, subscription)
        ]
        for topic, body, url, secret in deliveries:
            digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
            headers = {
                "Content-Type": "application/json",
                "X-Shopify-Topic": topic,
                "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
                "X-Shopify-Shop-Domain": self._store.shop_document()["myshopifyDomain"],
                "X-Shopify-API-Version": _API_VERSION,
                "X-Shopify-Webhook-Id": str(uuid.uuid4()),
                "X-Shopify-Event-Id": event_id,
                "X-Shopify-Triggered-At": triggered_at,
            }
            for _ in range(2 if self._random.random() < subscription.duplicates else 1):
                self._put(url, headers, body, self._random.uniform(0.0, subscription.disorder))

    def _receivers(self, topic: str, subscription: Subscription) -> list[tuple[str, str]]:
        """Where a topic is delivered to, each with what it is signed with."""
        targets = [(subscription.url, subscription.secret)] if subscription.url else []
        return targets + [(uri, self._app_secret()) for uri in Subscriptions(self._store).uris(topic)]

    def close(self) -> None:
        """Send no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _put(self, url: str, headers: dict[str, str], body: bytes, delay: float) -> None:
        with self._changed:
            self._number += 1
            self._counts.waiting += 1
            heapq.heappush(self._queue, _Delivery(time.monotonic() + delay, self._number, url, headers, body))
            if not self._threads:
                self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_SENDERS)]
                for thread in self._threads:
                    thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine's does not lead to its loopback
            while (delivery := self._next()) is not None:
                self._settle(delivery, is_answered=self._post(session, delivery))

    def _next(self) -> _Delivery | None:
        """The next delivery once it is due; None at the end."""
        with self._changed:
            while not self._is_closed:
                wait = self._queue[0].due - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue)
                self._changed.wait(wait)
        return None

    @staticmethod
    def _post(session: requests.Session, delivery: _Delivery) -> bool:
        timeouts = (_CONNECT_SECONDS, _ANSWER_SECONDS)
        with contextlib.suppress(requests.RequestException):
            return session.post(
                delivery.url, delivery.body, headers=delivery.headers, timeout=timeouts, allow_redirects=False
            ).ok
        return False

    def _settle(self, delivery: _Delivery, *, is_answered: bool) -> None:
        with self._changed:
            if is_answered:
                self._counts.answered += 1
            else:
                self._counts.refused += 1
                if delivery.retries < _RETRIES:
                    delivery.due = time.monotonic() + _FIRST_RETRY_SECONDS * 2**delivery.retries
                    delivery.retries += 1
                    heapq.heappush(self._queue, delivery)
                    self._changed.notify()
                    return
                self._counts.given_up += 1
            self._counts.waiting -= 1


def subscription_of(options: dict[str, Any]) -> Subscription:
    """The subscription that a control request describes.

    Raises:
        ValueError: In one sentence, for what it cannot take.
    """
    try:
        return Subscription(**options)
    except TypeError as problem:
        raise ValueError(f"This is no subscription: {problem}") from None
