"""Tokens that end: the next one is there when it is needed, and Shopify is asked for it once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.authorized_store import APP, connect
from tests.support.fake_shop import Answered, Asked, FakeShop
from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.report import Progress, StreamReport
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import OverloadedError, TokenRejectedError
from xeno_pipeline.shopify.oauth import App, GrantRefusedError, refresh
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing
from xeno_pipeline.tenants.grants import Grant, GrantKind, RenewingToken, load_grant, store_grant
from xeno_pipeline.tenants.onboarding import connect_by_own_app, open_client, replace_token
from xeno_pipeline.tenants.registry import Tenant

SOON = timedelta(minutes=3)
"""Within the five minutes in which a token is renewed before it ends."""

PAST = timedelta(minutes=-1)


@pytest.fixture
def tenant(installation: Installation, shop: Shop) -> Tenant:
    """A tenant that a merchant has connected."""
    tenant = connect(installation, shop)
    shop.control.reset_stats()
    return tenant


def stored(installation: Installation, tenant: Tenant) -> Grant:
    with installation.database.connect() as connection:
        return load_grant(connection, installation.ring, tenant.tenant_id)


def let_end(installation: Installation, tenant: Tenant, left: timedelta) -> Grant:
    """The tenant's grant, which ends after so long by our clock."""
    grant = replace(stored(installation, tenant), expires_at=datetime.now(UTC) + left)
    with installation.database.connect() as connection:
        store_grant(connection, installation.ring, tenant.tenant_id, grant)
    return grant


def token_of(installation: Installation, tenant: Tenant, app: App | None = APP) -> RenewingToken:
    return RenewingToken(installation.database, installation.ring, tenant, app)


def client_of(installation: Installation, tenant: Tenant) -> ShopifyClient:
    return open_client(installation.database, installation.ring, tenant, app=APP)


def grants_asked(shop: Shop) -> int:
    asked = shop.control.stats()["tokens"]
    assert isinstance(asked, int)
    return asked


def test_a_token_that_lasts_is_used_as_it_is(installation: Installation, tenant: Tenant, shop: Shop) -> None:
    client_of(installation, tenant).execute(operation("Shop"))
    assert grants_asked(shop) == 0


def test_a_token_is_renewed_before_it_ends_and_the_pair_is_kept_before_it_is_used(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    before = let_end(installation, tenant, SOON)

    current = token_of(installation, tenant).current()

    after = stored(installation, tenant)
    assert current == after.token != before.token
    assert after.refresh_token not in (None, before.refresh_token)
    assert after.lasts(timedelta(minutes=59))
    client_of(installation, tenant).execute(operation("Shop"))
    assert grants_asked(shop) == 1


def test_a_token_that_ends_while_a_store_is_read_is_renewed_once_and_nothing_is_lost(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    ended: list[str] = []

    def end_it(progress: Progress) -> None:
        if not ended:
            ended.append(progress.stream)
            shop.control.expire_tokens()

    syncer = Syncer(installation.database, installation.ring, installation.spool, end_it, APP)
    results = syncer.sync_tenant(tenant, SyncRequest())

    assert ended
    assert [result for result in results if not isinstance(result, StreamReport)] == []
    assert installation.value("select count(*) from raw.orders") == 60
    assert grants_asked(shop) == 1


def test_many_threads_that_need_the_next_token_ask_for_it_once(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    let_end(installation, tenant, PAST)
    tokens = [token_of(installation, tenant) for _ in range(8)]  # they share nothing but the database

    with ThreadPoolExecutor(16) as pool:
        current = set(pool.map(RenewingToken.current, tokens * 2))

    assert current == {stored(installation, tenant).token}
    assert grants_asked(shop) == 1


@pytest.mark.thorough
def test_two_processes_that_need_the_next_token_ask_for_it_once(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    let_end(installation, tenant, PAST)
    arguments = (installation.database.url, dict(installation.ring.keys), tenant)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        current = {future.result(60) for future in [pool.submit(current_token, *arguments) for _ in range(2)]}

    assert current == {stored(installation, tenant).token}
    assert grants_asked(shop) == 1


def current_token(database_url: str, keys: dict[str, bytes], tenant: Tenant) -> str:
    """What a process of its own finds to be the token."""
    return RenewingToken(Database(database_url), KeyRing(keys), tenant, APP).current()


@pytest.mark.parametrize("kind", ["reset", "status"])
def test_an_answer_that_is_lost_is_asked_for_again(
    installation: Installation, tenant: Tenant, shop: Shop, kind: str
) -> None:
    let_end(installation, tenant, PAST)
    if kind == "reset":
        shop.control.fault("reset", operation="RefreshToken", executed=True)  # Shopify did replace the pair
    else:
        shop.control.fault("status", operation="RefreshToken", status=520)

    client_of(installation, tenant).execute(operation("Shop"))

    assert stored(installation, tenant).lasts(timedelta(minutes=59))


def test_a_pair_that_a_dead_process_did_not_keep_is_asked_for_again(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    grant = let_end(installation, tenant, PAST)
    assert grant.refresh_token is not None
    lost = refresh(tenant.tenant_id, shop.api_url, APP, grant.refresh_token)

    client_of(installation, tenant).execute(operation("Shop"))

    assert stored(installation, tenant).token not in (grant.token, lost.token)


def test_while_no_new_token_is_to_be_had_the_old_one_is_used_as_long_as_it_lasts(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    grant = let_end(installation, tenant, SOON)
    shop.control.fault("status", operation="RefreshToken", status=503, count=3)
    assert token_of(installation, tenant).current() == grant.token

    let_end(installation, tenant, PAST)
    shop.control.fault("status", operation="RefreshToken", status=503, count=3)
    with pytest.raises(OverloadedError, match=f"^{tenant.tenant_id}: the token grant met HTTP 503"):
        token_of(installation, tenant).current()

    assert stored(installation, tenant).refresh_token == grant.refresh_token
    client_of(installation, tenant).execute(operation("Shop"))


def test_a_refresh_that_is_refused_for_good_says_to_connect_the_store_again(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    shop.control.revoke_grants()
    with pytest.raises(GrantRefusedError) as refused:
        client_of(installation, tenant).execute(operation("Shop"))

    assert isinstance(refused.value, TokenRejectedError)
    assert f"Connect it again at the gateway's /auth/install?shop={shop.handle}.myshopify.com." in str(refused.value)
    grant = stored(installation, tenant)
    assert grant.token not in str(refused.value)
    assert str(grant.refresh_token) not in str(refused.value)


def test_without_the_installations_app_it_is_said_what_to_set(installation: Installation, tenant: Tenant) -> None:
    let_end(installation, tenant, PAST)
    with pytest.raises(CredentialError, match="set XENO_SHOPIFY_API_KEY and XENO_SHOPIFY_API_SECRET"):
        token_of(installation, tenant, app=None).current()


def test_a_grant_that_was_stored_while_shopify_was_asked_is_not_overwritten(
    installation: Installation, tenant: Tenant
) -> None:
    other = Grant(GrantKind.EXPIRING, "shpat_other", datetime.now(UTC) + timedelta(hours=1), "shprt_other")

    def connect_again() -> None:
        with installation.database.connect() as connection:
            store_grant(connection, installation.ring, tenant.tenant_id, other)

    with refreshing(connect_again) as elsewhere:
        let_end(installation, tenant, PAST)
        assert token_of(installation, replace(tenant, api_url=elsewhere.url)).current() == "shpat_other"

    assert stored(installation, tenant) == other


def test_a_grant_that_was_forgotten_while_shopify_was_asked_does_not_come_back(
    installation: Installation, tenant: Tenant
) -> None:
    def forget() -> None:
        with installation.database.connect() as connection:
            connection.execute("delete from ops.tenant_credentials")

    with refreshing(forget) as elsewhere:
        let_end(installation, tenant, PAST)
        with pytest.raises(CredentialError, match="no token is stored"):
            token_of(installation, replace(tenant, api_url=elsewhere.url)).current()

    assert installation.value("select count(*) from ops.tenant_credentials") == 0


def refreshing(meanwhile: Callable[[], None]) -> FakeShop:
    """A store that lets something happen before it answers with the next pair."""
    pair = {"access_token": "shpat_late", "scope": "", "expires_in": 3600, "refresh_token": "shprt_late"}

    def respond(_: Asked) -> Answered:
        meanwhile()
        return Answered(pair)

    shop = FakeShop()
    shop.respond = respond
    return shop


def test_a_token_that_was_given_by_hand_is_taken_up_by_whoever_is_reading(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    client = client_of(installation, tenant)
    shop.control.set_tokens("shpat_new")
    replace_token(installation.database, installation.ring, handle=shop.handle, token="shpat_new")
    client.execute(operation("Shop"))

    shop.control.set_tokens("shpat_newer")
    with pytest.raises(TokenRejectedError, match="xeno tenant set-token"):
        client.execute(operation("Shop"))


# --- apps of a tenant's own ---


def test_an_app_of_the_tenants_own_brings_one_token_after_the_other(installation: Installation, shop: Shop) -> None:
    tenant = connect_by_own_app(
        installation.database, installation.ring, handle=shop.handle, api_url=shop.api_url, app=APP
    )
    first = stored(installation, tenant)
    assert (first.kind, first.refresh_token) == (GrantKind.CLIENT_CREDENTIALS, None)
    assert first.lasts(timedelta(hours=23))

    let_end(installation, tenant, SOON)
    open_client(installation.database, installation.ring, tenant, app=None).execute(operation("Shop"))

    second = stored(installation, tenant)
    assert second.token != first.token
    assert second.lasts(timedelta(hours=23))


def test_an_app_that_shopify_does_not_know_connects_nothing(installation: Installation, shop: Shop) -> None:
    wrong = App(APP.client_id, "shpss_wrong")
    with pytest.raises(GrantRefusedError) as refused:
        connect_by_own_app(
            installation.database, installation.ring, handle=shop.handle, api_url=shop.api_url, app=wrong
        )

    assert "shpss_wrong" not in str(refused.value)
    assert installation.tenants() == []
    assert installation.value("select count(*) from ops.tenant_apps") == 0
