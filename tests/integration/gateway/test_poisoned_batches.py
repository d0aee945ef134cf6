"""Deliveries of many stores share a transaction; what is wrong with one of them is its own affair."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation
from tests.support.payloads import CART, ORDER
from xeno_pipeline.database.connection import Database
from xeno_pipeline.gateway.inbox import Inbox, InboxUnavailableError, Outcome, UnstorableError
from xeno_pipeline.shopify.carts import MOST_LINES
from xeno_pipeline.shopify.webhooks import Delivery, Event
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

STORES = [f"store-{number}" for number in range(8)]
REFUSED = "refused"
"""The webhook id that `refusing` is about."""


def add_stores(installation: Installation) -> None:
    """Add a tenant for each of STORES."""
    with installation.database.connect() as connection:
        for number, name in enumerate(STORES, start=100):
            facts = (f"gid://shopify/Shop/{number}", f"{name}.myshopify.com", "http://127.0.0.1:9", name, "EUR", "UTC")
            registry.add(connection, Tenant(name, *facts, "Plus", []))


@contextmanager
def refusing(database: Database, sqlstate: str) -> Iterator[None]:
    """The database refuses one delivery, as no validation foresees."""
    with database.connect() as connection:
        connection.execute(f"""
            create function refuse() returns trigger language plpgsql
            as $$ begin raise exception 'Ada Lovelace' using errcode = '{sqlstate}'; end $$;
            create trigger refuse before insert on ops.webhook_inbox
            for each row when (new.webhook_id = '{REFUSED}') execute function refuse()
            """)
    yield
    with database.connect() as connection:
        connection.execute("drop function refuse cascade; delete from ops.webhook_inbox")


@pytest.fixture(scope="module")
def stores(kept: Installation) -> Installation:
    add_stores(kept)
    return kept


def deliver_together(
    gateway: GatewayProcess, stores: Installation, odd: dict[str, Any], webhook_id: str, topic: str = "carts/update"
) -> tuple[int, set[int]]:
    """A delivery between good ones of other stores, all of which wait for one transaction: the table is locked.

    Returns:
        The status of the one, and those of the others.
    """
    with ThreadPoolExecutor(len(STORES) + 1) as pool, stores.database.connect() as connection:
        connection.execute("lock table ops.webhook_inbox in exclusive mode")
        first, *others = [f"{name}.myshopify.com" for name in STORES]
        good = [pool.submit(gateway.deliver, ORDER, shop=first)]
        while not stores.value("select exists (select from pg_locks where not granted)"):
            pass
        good += [pool.submit(gateway.deliver, CART, topic="carts/update", shop=shop) for shop in others[:4]]
        one = pool.submit(gateway.deliver, odd, topic=topic, webhook_id=webhook_id)
        good += [pool.submit(gateway.deliver, ORDER, shop=shop) for shop in others[4:]]
        connection.commit()
        return one.result().status_code, {answer.result().status_code for answer in good}


@pytest.mark.parametrize(
    ("odd", "is_kept"),
    [
        ({"line_items": [{"quantity": 1, "title": "Mug\0"}]}, True),
        ({"line_items": [{"quantity": 1, "title": "Mug \ud83d"}]}, True),
        ({"updated_at": "2026-06-30T12:00:00+23:59"}, True),  # an offset that PostgreSQL does not take
        ({"token": "c\0"}, False),
        ({"line_items": [{"quantity": 1, "line_price": "1000000000000.00"}]}, False),
        ({"updated_at": "9999-12-31T23:59:59Z"}, False),
        ({"updated_at": f"{datetime.now(UTC).year + 2}-06-30T12:00:00Z"}, False),
        ({"created_at": "0001-01-01T00:00:00Z"}, False),
        ({"created_at": "0000-12-30T00:00:00Z"}, False),
    ],
    ids=str,
)
def test_an_odd_cart_hurts_no_delivery_of_another_store(
    gateway: GatewayProcess, stores: Installation, odd: dict[str, Any], is_kept: bool
) -> None:
    webhook_id = str(uuid4())
    assert deliver_together(gateway, stores, CART | odd, webhook_id) == (200 if is_kept else 400, {200})
    assert stores.value("select count(*) from ops.webhook_inbox where webhook_id = %s", webhook_id) == is_kept


def test_a_text_is_kept_but_for_what_no_table_can_hold(gateway: GatewayProcess, kept: Installation) -> None:
    lines = [{"quantity": 1, "title": "Mug\0 \ud83d \U0001f600", "sku": "\x01"}]  # with half of an emoji, and a whole
    assert gateway.deliver(CART | {"line_items": lines}, topic="carts/update", webhook_id="clean").status_code == 200
    (line,) = kept.value("select payload -> 'line_items' from ops.webhook_inbox where webhook_id = 'clean'")
    assert (line["title"], line["sku"]) == ("Mug \ufffd \U0001f600", "\x01")


@pytest.mark.parametrize("updated_at", ["9999-12-31T23:59:59Z", "1066-10-14T12:00:00Z", "2100-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_is_no_time(gateway: GatewayProcess, kept: Installation, updated_at: str) -> None:
    webhook_id = str(uuid4())
    odd = {"webhook_id": webhook_id, "X_Shopify_Triggered_At": updated_at}
    assert gateway.deliver(ORDER | {"updated_at": updated_at}, **odd).status_code == 200
    found = kept.query("select changed_at, triggered_at from ops.webhook_inbox where webhook_id = %s", webhook_id)
    assert found == [(None, None)]


def test_a_domain_that_is_none_is_malformed(gateway: GatewayProcess) -> None:
    for domain in ("acme\0.myshopify.com", "acme .myshopify.com", ""):
        assert gateway.deliver({"id": 1, "myshopify_domain": domain}, topic="shop/update").status_code == 400


def test_what_the_database_refuses_is_refused_alone_and_told_of_without_its_values(
    gateway: GatewayProcess, stores: Installation
) -> None:
    with refusing(stores.database, "P0001"):
        assert deliver_together(gateway, stores, ORDER, REFUSED, "orders/updated") == (422, {200})
        (line,) = [line for line in gateway.log() if line.get("webhook_id") == REFUSED]
    told = {name: line[name] for name in ("shop", "topic", "outcome", "status", "error")}
    assert told == {
        "shop": "acme.myshopify.com",
        "topic": "orders/updated",
        "outcome": "unstorable",
        "status": 422,
        "error": "RaiseException (P0001)",
    }
    assert "Ada" not in gateway.text()
    assert 'xeno_webhooks_total{outcome="unstorable"} 1.0' in gateway.get("/metrics").text


def test_a_privacy_request_that_the_database_refuses_is_told_so(gateway: GatewayProcess, kept: Installation) -> None:
    with kept.database.connect() as connection:
        connection.execute("alter table ops.privacy_requests add constraint none check (kind <> 'shop/redact')")
    assert gateway.deliver({"shop_id": 1}, topic="shop/redact").status_code == 422
    with kept.database.connect() as connection:
        connection.execute("alter table ops.privacy_requests drop constraint none")
    assert gateway.deliver({"shop_id": 1}, topic="shop/redact").status_code == 200


def orders(*webhook_ids: str, shop: str = "acme.myshopify.com") -> list[Event]:
    """An event for each of the webhook ids."""
    return [
        Event(Delivery("orders/create", shop, webhook_id, None, None), "orders", read_gid="gid://shopify/Order/1")
        for webhook_id in webhook_ids
    ]


def put_together(database: Database, events: list[Event]) -> list[Outcome | BaseException]:
    """What becomes of events that are put in one batch."""

    async def put() -> list[Outcome | BaseException]:
        async with Inbox(database) as inbox:
            return await asyncio.gather(*map(inbox.put, events), return_exceptions=True)

    return asyncio.run(put())


@pytest.mark.parametrize("sqlstate", ["22012", "23514", "54000", "P0001", "XX000"])
def test_a_batch_is_halved_until_the_guilty_one_stands_alone(stores: Installation, sqlstate: str) -> None:
    names = [*(str(number) for number in range(300)), REFUSED, *(str(number) for number in range(300, 499))]
    with refusing(stores.database, sqlstate):
        outcomes = dict(zip(names, put_together(stores.database, orders(*names)), strict=True))
        assert isinstance(outcomes.pop(REFUSED), UnstorableError)
        assert set(outcomes.values()) == {Outcome.STORED}
        kept = stores.query("select webhook_id from ops.webhook_inbox order by id")
    assert [name for (name,) in kept] == list(outcomes), "in the order in which they came"


@pytest.mark.parametrize(
    "odd",
    [
        Event(orders("odd")[0].delivery, "orders", read_gid="\0"),
        Event(orders("odd")[0].delivery, "orders", read_gid="\ud800"),
        Event(orders("odd")[0].delivery, "carts", payload={"title": "\0"}),
        Event(orders("odd")[0].delivery, "carts", payload={"title": "\ud800"}),
        Event(orders("odd")[0].delivery, "orders", payload={}),  # which only carts may have
    ],
    ids=["nul", "surrogate", "nul in JSON", "surrogate in JSON", "check"],
)
def test_what_was_never_validated_is_refused_alone_too(stores: Installation, odd: Event) -> None:
    before, after = str(uuid4()), str(uuid4())
    first, guilty, last = put_together(stores.database, [*orders(before), odd, *orders(after)])
    assert (first, last) == (Outcome.STORED, Outcome.STORED)
    assert isinstance(guilty, UnstorableError)


def test_one_stores_huge_carts_hold_up_no_delivery_of_another(stores: Installation) -> None:
    cart = {"token": "c1", "line_items": [{"quantity": 1, "title": "\U0001f600" * 255}] * MOST_LINES}
    huge = [Event(event.delivery, "carts", payload=cart) for event in orders(*(str(uuid4()) for _ in range(12)))]
    (small,) = orders(str(uuid4()), shop=f"{STORES[0]}.myshopify.com")
    kept: list[str] = []

    async def put(inbox: Inbox, event: Event) -> None:
        assert await inbox.put(event) == Outcome.STORED
        kept.append(event.delivery.webhook_id)

    async def put_all() -> None:
        async with Inbox(stores.database) as inbox:
            await asyncio.gather(*(put(inbox, event) for event in [*huge, small]))

    asyncio.run(put_all())
    assert kept == [event.delivery.webhook_id for event in [small, *huge]]


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "55P03", "57014", "25006", "42501", "40P01"])
def test_where_the_database_itself_is_in_trouble_nothing_of_a_batch_is_blamed(
    stores: Installation, sqlstate: str
) -> None:
    with refusing(stores.database, sqlstate):
        outcomes = put_together(stores.database, orders("1", REFUSED, "2"))
    assert {type(outcome) for outcome in outcomes} == {InboxUnavailableError}


def test_what_the_database_does_not_store_in_time_is_given_up_each_at_its_own_time(stores: Installation) -> None:
    async def put_while_locked() -> tuple[list[BaseException | Outcome], list[float]]:
        loop, given_up = asyncio.get_running_loop(), []

        async def put(inbox: Inbox, seconds: float, name: str) -> Outcome:
            await asyncio.sleep(seconds)
            started = loop.time()
            try:
                (event,) = orders(name)
                return await inbox.put(event)
            finally:
                given_up.append(loop.time() - started)

        async with Inbox(stores.database, timeout_seconds=0.3) as inbox:
            return await asyncio.gather(
                *(put(inbox, 0.1 * number, str(uuid4())) for number in range(3)), return_exceptions=True
            ), given_up

    with stores.database.connect() as connection:
        connection.execute("lock table ops.webhook_inbox in exclusive mode")
        outcomes, seconds = asyncio.run(put_while_locked())
    assert {type(outcome) for outcome in outcomes} == {InboxUnavailableError}
    assert min(seconds) >= 0.29
    assert max(seconds) < 1.5, "the first is being written for two seconds, twice"


def test_what_still_waits_when_the_gateway_ends_is_not_stored(stores: Installation) -> None:
    async def put_and_end() -> Outcome:
        (event,) = orders(str(uuid4()))
        async with Inbox(stores.database) as inbox:
            waiting = asyncio.create_task(inbox.put(event))
            await asyncio.sleep(0.1)
        return await waiting

    with stores.database.connect() as connection:
        connection.execute("lock table ops.webhook_inbox in exclusive mode")
        with pytest.raises(InboxUnavailableError):
            asyncio.run(put_and_end())
