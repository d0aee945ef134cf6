"""Two gateways behind a balancer: one is killed under load, and nothing that Shopify sends is lost or there twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import copy
from itertools import count
from pathlib import Path

import pytest

from tests.support.balancer import balanced
from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation

pytestmark = pytest.mark.thorough

ORDER = {"id": 7, "updated_at": "2026-06-30T12:00:00Z"}

_SENDERS = 8
_BETWEEN = 60
"""Deliveries from one step to the next, several a sender."""

_SECONDS = 60.0
"""Longer than a gateway takes to start while other tests run."""


class Load:
    """Deliveries from several threads, each repeated until it is answered with 200, as Shopify does.

    Args:
        front: a gateway, by the balancer's address.
    """

    def __init__(self, front: GatewayProcess) -> None:
        self._front = front
        self._numbers = count()
        self._is_over = threading.Event()
        self.answered: list[str] = []
        self.repeated: list[int] = []

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(_SENDERS)
        self._senders = [self._pool.submit(self._send) for _ in range(_SENDERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._pool.shutdown()
        for sender in self._senders:
            sender.result()

    def await_more(self) -> None:
        """Wait until so many further deliveries were answered."""
        wanted, deadline = len(self.answered) + _BETWEEN, time.monotonic() + _SECONDS
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, f"{len(self.answered)} deliveries of {wanted} were answered"
            time.sleep(0.01)

    def _send(self) -> None:
        while not self._is_over.is_set():
            name, deadline = f"delivery-{next(self._numbers)}", time.monotonic() + _SECONDS
            while (status := self._front.deliver(ORDER, webhook_id=name).status_code) != 200:
                assert time.monotonic() < deadline, f"{name} was answered with {status}"
                self.repeated.append(status)
                time.sleep(0.02)
            self.answered.append(name)


def test_a_gateway_that_is_killed_under_load_loses_nothing_and_comes_back(kept: Installation, tmp_path: Path) -> None:
    with ExitStack() as running:
        one, other = (running.enter_context(GatewayProcess(kept.database.url, _folder(tmp_path, n))) for n in (1, 2))
        front = copy(one)
        front.url = running.enter_context(balanced([one.url, other.url]))
        with Load(front) as load:
            load.await_more()
            one.kill()
            load.await_more()
            one.start()
            load.await_more()
            other.kill()
            load.await_more()
        stored = kept.query("select webhook_id from ops.webhook_inbox where webhook_id ^@ 'delivery-'")
    assert sorted(name for (name,) in stored) == sorted(load.answered)
    assert len(load.answered) == len(set(load.answered)) >= 4 * _BETWEEN
    assert set(load.repeated) == {502}, "the kills were felt, and nothing else was answered"


def _folder(tmp_path: Path, number: int) -> Path:
    folder = tmp_path / f"gateway-{number}"
    folder.mkdir()
    return folder
