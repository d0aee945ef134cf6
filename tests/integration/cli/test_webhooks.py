"""`xeno webhooks list`, `replay` and `register`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.installation import Installation, Shop
from tests.support.xeno_command import Said
from xeno_pipeline.extraction import inbox
from xeno_pipeline.shopify.subscriptions import TOPICS
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant


@pytest.fixture
def two_events(machine: Installation) -> Installation:
    """Two events of one tenant, of which the first is dead."""
    facts = ("gid://shopify/Shop/1", "acme.myshopify.com", "http://127.0.0.1:9/acme", "Acme", "EUR", "UTC", "Plus", [])
    with machine.database.connect() as connection:
        registry.add(connection, Tenant("acme", *facts))
        connection.execute("""
            insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, read_gid, attempts)
            values ('acme', 'a', 'orders/updated', 'orders', 'gid://shopify/Order/7', 11),
                ('acme', 'b', 'orders/updated', 'orders', 'gid://shopify/Order/8', 0)
            """)
        inbox.record_failures(connection, [1], "It could not be read.")
    return machine


def test_the_list_tells_what_became_of_each(two_events: Installation, main: Callable[..., Said]) -> None:
    newest, dead = main("webhooks", "list").out.splitlines()
    assert "gid://shopify/Order/8  waiting" in newest
    assert "gid://shopify/Order/7  dead  It could not be read." in dead
    assert main("webhooks", "list", "--dead").out.splitlines() == [dead]


def test_what_shopify_does_not_show_is_counted_with_what_can_be_done(
    two_events: Installation, main: Callable[..., Said]
) -> None:
    with two_events.database.connect() as connection:
        inbox.replay(connection, [1])
        inbox.mark_not_visible(connection, [1])
        connection.execute("update ops.webhook_inbox set attempts = 11 where id = 2")
        inbox.mark_not_found(connection, [2])
    found, hidden = main("webhooks", "list").out.splitlines()
    assert "gid://shopify/Order/8  not found  Shopify does not show it" in found
    assert "gid://shopify/Order/7  not visible  It is older than 60 days" in hidden
    assert main("webhooks", "list", "--dead").out == "There are no dead webhooks.\n"
    shown = " ".join(main("tenant", "show", "acme").out.split())
    assert "1 webhook of orders named what the token cannot see" in shown
    assert "Once it has the access scope read_all_orders, `xeno sync acme --stream orders --full` reads it." in shown
    assert "1 webhook of orders named what Shopify did not show for hours" in shown


def test_replay_revives_the_dead_or_what_is_named(two_events: Installation, main: Callable[..., Said]) -> None:
    assert main("webhooks", "replay").out == "1 webhook will be read again.\n"
    assert main("webhooks", "list", "--dead").out == "There are no dead webhooks.\n"
    assert main("webhooks", "replay", "1", "2").out == "2 webhooks will be read again.\n"
    unknown = main("webhooks", "replay", "1", "77")
    assert (unknown.exit_code, unknown.err) == (2, "There is no webhook 77: `xeno webhooks list` shows them.\n")


def test_register_subscribes_the_stores_and_shows_what_was_done(
    machine: Installation, main: Callable[..., Said], shop: Shop, other_shop: Shop
) -> None:
    for each in (shop, other_shop):
        machine.connect(each)
    url = {"XENO_PUBLIC_URL": "https://xeno.example"}
    said = main("webhooks", "register", shop.handle, **url)
    assert said.exit_code == 0
    assert [line.split()[:2] for line in said.out.splitlines() if shop.handle in line] == [
        [shop.handle, str(len(TOPICS))]
    ]
    assert other_shop.handle not in said.out

    other_shop.control.set_tokens("shpat_another")
    said = main("webhooks", "register", **url)
    assert said.exit_code == 1
    assert f"{other_shop.handle}: " in said.err


def test_register_says_what_to_set_where_shopify_could_not_reach_the_gateway(
    machine: Installation, main: Callable[..., Said]
) -> None:
    said = main("webhooks", "register")
    assert (said.exit_code, said.out) == (2, "")
    assert "XENO_PUBLIC_URL is not set" in said.err
