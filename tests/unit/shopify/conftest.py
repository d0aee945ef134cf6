"""A fake Shopify, a fake clock, and clients of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_shop import TOKEN, Connect, FakeClock, FakeShop
from xeno_pipeline.shopify.client import ShopifyClient


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    with FakeShop() as running:
        yield running


@pytest.fixture
def connect(shop: FakeShop, clock: FakeClock) -> Iterator[Connect]:
    """Makes clients of the fake shop, whose time is the fake clock's."""
    clients: list[ShopifyClient] = []

    def make(**options: Any) -> ShopifyClient:
        given: dict[str, Any] = {
            "tenant": "acme",
            "api_url": shop.url,
            "token": TOKEN,
            "clock": clock,
            "sleep": clock.sleep,
        }
        clients.append(ShopifyClient(**(given | options)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> ShopifyClient:
    return connect()
