"""A store's webhook subscriptions come to be what they should be, and nobody else's are touched."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from shopify_sandbox.spec import DEFAULT_SCOPES, DEFAULT_TOKEN
from tests.support.installation import Installation, Shop
from tests.support.subscriptions import of, register_at, topics_at
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.queries import Operation, operation
from xeno_pipeline.shopify.subscriptions import TOPICS, Subscription
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.subscriptions import Registration, callback_url, compare, never_compared

OURS = "https://xeno.example/webhooks/shopify"
FORMER = "https://old.example/webhooks/shopify"
FOREIGN = "https://staging.example/webhooks/shopify"


def failing(connection: Connection) -> list[str]:
    """The tenants whose subscriptions are recorded as incomplete or unknown."""
    rows = connection.execute("select tenant_id from ops.webhook_subscriptions where error is not null order by 1")
    return [tenant_id for (tenant_id,) in rows]


@pytest.fixture
def tenant(installation: Installation, shop: Shop) -> Tenant:
    return installation.connect(shop)


def test_a_store_that_was_just_connected_comes_to_tell_of_everything(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    with installation.database.connect() as connection:
        assert list(never_compared(connection)) == [shop.handle]
    (done,) = register_at(installation, OURS, tenant)

    assert (sorted(done.created), done.missing, done.error) == (sorted(TOPICS), [], None)
    assert topics_at(shop, OURS) == sorted(TOPICS)
    with installation.database.connect() as connection:
        assert (never_compared(connection), failing(connection)) == ({}, [])


def test_where_all_is_as_it_should_be_nothing_is_done(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    register_at(installation, OURS, tenant)
    before = of(shop).list_all()
    assert register_at(installation, OURS, tenant) == [Registration(shop.handle, has_moved=True)]
    assert of(shop).list_all() == before


@pytest.mark.thorough
def test_a_list_that_takes_too_long_comes_in_smaller_pages(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    register_at(installation, OURS, tenant)
    before = of(shop).list_all()
    shop.control.fault("timeout", above=10, operation="WebhookSubscriptions", count=100)
    assert of(shop).list_all() == before


def test_what_shopify_dropped_is_subscribed_again(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    register_at(installation, OURS, tenant)
    assert shop.control.drop_subscriptions("orders/create") == 1
    (done,) = register_at(installation, OURS, tenant)
    assert done.created == ["orders/create"]
    assert topics_at(shop, OURS) == sorted(TOPICS)


def test_a_new_address_takes_the_former_ones_subscriptions_over_and_leaves_others_alone(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    of(shop).create("orders/create", FOREIGN)
    register_at(installation, FORMER, tenant)
    (done,) = register_at(installation, OURS, tenant)

    assert (len(done.updated), done.created, done.foreign) == (len(TOPICS), [], [FOREIGN])
    assert topics_at(shop, OURS) == sorted(TOPICS)
    assert topics_at(shop, FORMER) == []
    assert topics_at(shop, FOREIGN) == ["orders/create"]


def test_ours_that_tell_of_less_are_put_right_and_those_of_topics_that_nobody_follows_go(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    client = ShopifyClient(tenant=shop.handle, api_url=shop.api_url, token=DEFAULT_TOKEN)
    create: Operation = operation("WebhookSubscriptionCreate")
    client.execute(
        create, {"topic": "SHOP_UPDATE", "subscription": {"uri": OURS, "includeFields": ["id"], "filter": "id:1"}}
    )
    client.execute(create, {"topic": "THEMES_CREATE", "subscription": {"uri": OURS}})
    (done,) = register_at(installation, OURS, tenant)
    assert (done.updated, done.deleted) == (["shop/update"], ["THEMES_CREATE"])
    assert topics_at(shop, OURS) == sorted(TOPICS)


def test_registering_twice_at_once_makes_no_duplicates(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: register_at(installation, OURS, tenant)[0], range(4)))
    assert [each.error for each in done] == [None] * 4
    assert topics_at(shop, OURS) == sorted(TOPICS)


def test_a_topic_that_the_token_may_not_have_is_told_and_hinders_no_other(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    shop.control.set_scopes(*(scope for scope in DEFAULT_SCOPES if scope != "read_customer_merge"))
    (done,) = register_at(installation, OURS, tenant)
    assert done.missing == ["customers/merge"]
    assert done.error is not None
    assert "customers/merge was refused: You do not have permission" in done.error
    assert topics_at(shop, OURS) == sorted(set(TOPICS) - {"customers/merge"})
    with installation.database.connect() as connection:
        assert failing(connection) == [shop.handle]


def test_a_store_that_cannot_be_reached_is_told_and_hinders_no_other(
    installation: Installation, shop: Shop, other_shop: Shop, tenant: Tenant
) -> None:
    other = installation.connect(other_shop)
    shop.control.set_tokens("shpat_another")
    failed, done = register_at(installation, OURS, tenant, other)
    assert failed.error is not None
    assert shop.handle in failed.error
    assert done.error is None
    with installation.database.connect() as connection:
        assert failing(connection) == [shop.handle]
        assert never_compared(connection) == {}, "it is not tried at every tick"


def test_the_address_follows_from_the_public_url() -> None:
    assert callback_url("https://xeno.example/") == OURS
    with pytest.raises(UsageError, match="XENO_PUBLIC_URL is not set"):
        callback_url(None)
    with pytest.raises(UsageError, match="https:// only"):
        callback_url("http://xeno.example")


def _existing(*uris: str, is_whole: bool = True) -> Sequence[Subscription]:
    return [Subscription(f"{number}", topic, uri, is_whole) for uri in uris for number, topic in enumerate(TOPICS)]


def test_a_comparison_names_what_is_missing_wrong_surplus_and_foreign() -> None:
    assert list(compare([], OURS).missing) == list(TOPICS)
    assert len(compare(_existing(FOREIGN), OURS).foreign) == len(TOPICS)
    assert len(compare(_existing(FORMER), OURS, FORMER).wrong) == len(TOPICS)
    assert len(compare(_existing(OURS, is_whole=False), OURS).wrong) == len(TOPICS)
    twice = compare(_existing(FORMER, OURS), OURS, FORMER)
    assert {each.uri for each in twice.surplus} == {FORMER}
    assert (twice.missing, twice.wrong, twice.foreign) == ([], [], [])


def renewed_at(installation: Installation) -> datetime | None:
    """When the subscriptions of the one store were last renewed."""
    found: datetime | None = installation.value("select renewed_at from ops.webhook_subscriptions")
    return found


def test_subscriptions_are_renewed_where_one_was_missing_or_may_have_been(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    register_at(installation, OURS, tenant)
    first = renewed_at(installation)
    assert first is not None
    register_at(installation, OURS, tenant)
    assert renewed_at(installation) == first, "all were in place"

    shop.control.drop_subscriptions("orders/create")
    register_at(installation, OURS, tenant)
    second = renewed_at(installation)
    assert second is not None
    assert second > first

    shop.control.set_tokens("shpat_another")
    register_at(installation, OURS, tenant)
    assert renewed_at(installation) == second, "nothing was subscribed"
    shop.control.set_tokens(DEFAULT_TOKEN)
    register_at(installation, OURS, tenant)
    third = renewed_at(installation)
    assert third is not None
    assert third > second, "the comparison that failed may have created some"
