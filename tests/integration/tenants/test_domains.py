"""A store that was renamed: its tenant follows, to the same shop alone, and is known by all its domains."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support import authorized_store
from tests.support.events import tell
from tests.support.fake_shop import Answered, Asked, FakeShop
from tests.support.installation import Installation, Shop
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.extraction.events import read_events
from xeno_pipeline.extraction.report import StreamReport
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.shopify.errors import MovedError, ShopifyError, StoreUnavailableError
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apps import own_secrets, store_app
from xeno_pipeline.tenants.domains import OtherShopError
from xeno_pipeline.tenants.grants import Grant, load_grant, store_grant
from xeno_pipeline.tenants.onboarding import open_client, replace_app, replace_token, set_domain
from xeno_pipeline.tenants.registry import Tenant

TOKEN_HEADER = "x-shopify-access-token"


@pytest.fixture
def urls(shop: Shop) -> str:
    """Where the sandbox's stores are, as XENO_SHOPIFY_URL_TEMPLATE says it."""
    return f"{shop.sandbox.url}/{{handle}}"


def syncer(installation: Installation, urls: str) -> Syncer:
    return Syncer(installation.database, installation.ring, installation.spool, urls=urls)


def place(installation: Installation, tenant: Tenant) -> tuple[str, str]:
    """Where a tenant is read, and the domain that it is known by."""
    with installation.database.connect() as connection:
        known = registry.get(connection, tenant.tenant_id)
    return known.api_url, known.shop_domain


def audited(installation: Installation) -> list[str]:
    return [action for (action,) in installation.query("select action from ops.audit_log order by id")]


def known_by(installation: Installation, *domains: str) -> list[str | None]:
    with installation.database.connect() as connection:
        found = [registry.find_by_domain(connection, domain) for domain in domains]
    return [tenant.tenant_id if tenant else None for tenant in found]


# --- the tenant follows by itself ---


def test_the_sync_of_a_renamed_store_goes_on_at_its_new_address(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    new = f"{shop.handle}-new"
    (order,) = shop.control.place_order()["orders"]
    shop.control.rename(new)

    results = syncer(installation, urls).sync_tenant(tenant, SyncRequest())

    assert all(isinstance(result, StreamReport) for result in results)
    assert installation.value("select tenant_id from raw.orders where id = %s", order) == shop.handle
    assert place(installation, tenant) == (urls.format(handle=new), f"{new}.myshopify.com")
    assert audited(installation) == [f"moved from {shop.handle}.myshopify.com to {new}.myshopify.com"]
    assert known_by(installation, f"{new}.myshopify.com", f"{shop.handle}.myshopify.com") == [shop.handle] * 2

    (again,) = installation.tenants()
    installation.settle()
    shop.control.reset_stats()
    assert isinstance(syncer(installation, urls).sync_tenant(again, SyncRequest())[0], StreamReport)
    assert shop.control.stats()["requests"] == 1
    assert len(audited(installation)) == 1


def test_the_webhook_of_a_renaming_has_the_tenant_follow_and_later_ones_find_it_by_both_names(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    renamed = replace(shop, handle=f"{shop.handle}-new")
    shop.control.rename(renamed.handle)
    number = int(tenant.shop_gid.rpartition("/")[2])
    domain = f"{renamed.handle}.myshopify.com"

    tell(installation.database, renamed, ("shop/update", {"id": number, "myshopify_domain": domain}))
    results = read_events(syncer(installation, urls), [tenant])

    assert all(isinstance(result, StreamReport) for result in results)
    assert place(installation, tenant) == (renamed.api_url, domain)
    orders = [shop.control.place_order()["orders"][0] for _ in range(2)]
    for named, order in zip((shop, renamed), orders, strict=True):
        tell(installation.database, named, ("orders/create", {"id": order}))
    read_events(syncer(installation, urls), installation.tenants())
    assert installation.value("select count(*) from raw.orders where id = any(%s)", orders) == 2


def test_streams_that_are_led_on_while_they_run_move_the_tenant_once(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    shop.control.rename(f"{shop.handle}-1")
    shop.control.rename(f"{shop.handle}-2")

    results = syncer(installation, urls).sync_tenant(tenant, SyncRequest())

    assert all(isinstance(result, StreamReport) for result in results)
    assert place(installation, tenant)[1] == f"{shop.handle}-2.myshopify.com"
    assert len(audited(installation)) == 1


def test_a_token_that_has_ended_is_renewed_at_the_new_address(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = authorized_store.connect(installation, shop)
    installation.execute("update ops.tenant_credentials set expires_at = now()")
    shop.control.expire_tokens()
    shop.control.rename(f"{shop.handle}-new")

    with closing(
        open_client(installation.database, installation.ring, tenant, app=authorized_store.APP, urls=urls)
    ) as client:
        assert client.execute(operation("Shop")).data["shop"]["id"] == tenant.shop_gid

    assert place(installation, tenant)[1] == f"{shop.handle}-new.myshopify.com"


def test_a_merchant_who_connects_a_renamed_store_again_resumes_its_tenant(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    with installation.database.connect() as connection:
        registry.set_status(connection, tenant.tenant_id, "suspended")
    renamed = replace(shop, handle=f"{shop.handle}-new")
    shop.control.rename(renamed.handle)

    again = authorized_store.connect(installation, renamed)

    assert again.tenant_id == tenant.tenant_id
    assert [(each.tenant_id, each.status) for each in installation.tenants()] == [(tenant.tenant_id, "active")]
    assert place(installation, tenant) == (renamed.api_url, f"{renamed.handle}.myshopify.com")


# --- and to no other ---


class Stores:
    """Two hosts: the tenant's store, and what stands where its address leads to."""

    def __init__(self, old: FakeShop, new: FakeShop) -> None:
        self.old, self.new = old, new
        self.location = "https://acme-new.myshopify.com/admin/api/2026-10/graphql.json"
        self.status = 301
        self.gid = "gid://shopify/Shop/1"
        old.respond = lambda _: Answered(status=self.status, headers={"Location": self.location})
        new.respond = self.shop

    def shop(self, _: Asked) -> Answered:
        shop = {
            "id": self.gid,
            "name": "Acme",
            "myshopifyDomain": "acme-new.myshopify.com",
            "currencyCode": "EUR",
            "ianaTimezone": "Europe/Berlin",
            "plan": {"publicDisplayName": "Plus"},
        }
        scopes = [{"handle": scope} for scope in authorized_store.SCOPES]
        return Answered({"data": {"shop": shop, "currentAppInstallation": {"accessScopes": scopes}}})


@pytest.fixture
def stores() -> Iterator[Stores]:
    with FakeShop() as old, FakeShop() as new:
        yield Stores(old, new)


@pytest.fixture
def acme(installation: Installation, stores: Stores) -> Tenant:
    """A tenant whose store's address leads elsewhere."""
    tenant = Tenant(
        *("acme", "gid://shopify/Shop/1", "acme.myshopify.com", stores.old.url, "Acme", "EUR", "Europe/Berlin", "Plus"),
        access_scopes=sorted(authorized_store.SCOPES),
    )
    with installation.database.connect() as connection:
        registry.add(connection, tenant)
        store_grant(connection, installation.ring, "acme", Grant.permanent(DEFAULT_TOKEN))
    return tenant


Ask = Callable[[], Any]


@pytest.fixture
def ask(installation: Installation, stores: Stores, acme: Tenant) -> Ask:
    """Asks the tenant's store for its facts, as everything does that reads it."""

    def ask() -> Any:
        urls = f"{stores.new.url}/{{handle}}"
        with closing(open_client(installation.database, installation.ring, acme, app=None, urls=urls)) as client:
            return client.execute(operation("Shop")).data

    return ask


def check_that_nothing_was_changed(installation: Installation, acme: Tenant) -> None:
    assert installation.tenants() == [acme]
    assert audited(installation) == []
    assert installation.query("select * from ops.tenant_domains") == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_what_was_asked_is_asked_again_whole(stores: Stores, ask: Ask, status: int) -> None:
    stores.status = status

    assert ask()["shop"]["name"] == "Acme"

    (asked,) = stores.old.asked
    verified, repeated = stores.new.asked
    assert verified.path == repeated.path == "/acme-new/admin/api/2026-10/graphql.json"
    assert repeated.body == asked.body
    assert repeated.headers[TOKEN_HEADER] == DEFAULT_TOKEN


def test_another_shop_is_named_and_nothing_is_changed(
    installation: Installation, stores: Stores, acme: Tenant, ask: Ask
) -> None:
    stores.gid = "gid://shopify/Shop/2"

    with pytest.raises(OtherShopError) as raised:
        ask()

    said = str(raised.value)
    assert said.startswith("acme: its address redirects to acme-new.myshopify.com, where another shop responds")
    assert "gid://shopify/Shop/2" in said
    assert "`xeno tenant set-domain acme DOMAIN`" in said
    check_that_nothing_was_changed(installation, acme)


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/admin",
        "http://acme-new.myshopify.com/admin",
        "https://acme.myshopify.com.elsewhere.example/admin",
        "https://acme-myshopify.com/",
        "https://myshopify.com/",
        "https://a.b.myshopify.com/",
        "https://-acme.myshopify.com/",
        "https://acme.myshopify.com:8443/",
        "https://acme.myshopify.com@elsewhere.example/",
        "https://user@acme-new.myshopify.com/",
        "https://elsewhere.example\\@acme.myshopify.com/",
        "https://elsewhere.example#.myshopify.com/",
        "https://acme_new.myshopify.com/",
        "https://acme%2enew.myshopify.com/",
        "https://xn--e1afmkfd.example/",
        "https://[::1]/",
        "https://[",
        "//acme-new.myshopify.com/admin",
        "/admin/else",
        "javascript:alert(1)",
        "",
    ],
)
def test_no_other_host_is_followed_or_told_the_token(
    installation: Installation, stores: Stores, acme: Tenant, ask: Ask, location: str
) -> None:
    stores.location = location

    with pytest.raises(StoreUnavailableError, match="was redirected away from") as raised:
        ask()

    assert not isinstance(raised.value, MovedError)
    assert stores.new.asked == []
    check_that_nothing_was_changed(installation, acme)


@pytest.mark.parametrize("status", [300, 303, 305])
def test_no_other_status_is_followed(stores: Stores, ask: Ask, status: int) -> None:
    stores.status = status

    with pytest.raises(StoreUnavailableError, match="was redirected away from"):
        ask()

    assert stores.new.asked == []


def test_a_circle_of_addresses_ends(installation: Installation, stores: Stores, acme: Tenant, ask: Ask) -> None:
    there, back = "https://acme-1.myshopify.com/", "https://acme-2.myshopify.com/"
    stores.new.respond = lambda asked: Answered(
        status=308, headers={"Location": back if asked.path.startswith("/acme-1/") else there}
    )

    with pytest.raises(StoreUnavailableError, match=r"^acme: Shop was redirected in a circle, or too often"):
        ask()

    assert len(stores.new.asked) <= 5
    check_that_nothing_was_changed(installation, acme)


def test_a_chain_of_addresses_without_an_end_ends(stores: Stores, ask: Ask) -> None:
    stores.new.respond = lambda _: Answered(
        status=301, headers={"Location": f"https://acme-{len(stores.new.asked)}.myshopify.com/"}
    )

    with pytest.raises(StoreUnavailableError, match="too often"):
        ask()

    assert len(stores.new.asked) == 5


def test_the_token_shows_in_no_message(stores: Stores, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stores.gid = "gid://shopify/Shop/2"
    with pytest.raises(OtherShopError) as raised:
        ask()
    assert DEFAULT_TOKEN not in str(raised.value) + caplog.text


# --- by hand ---


def test_a_domain_is_set_by_hand_once_the_same_shop_has_answered_there(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    new = f"{shop.handle}-new"
    shop.control.rename(new)

    def set_to(domain: str) -> Tenant:
        return set_domain(
            installation.database, installation.ring, handle=shop.handle, domain=domain, app=None, urls=urls
        )

    moved = set_to(f"{new.upper()}.myshopify.com")

    assert moved == replace(tenant, api_url=urls.format(handle=new), shop_domain=f"{new}.myshopify.com")
    assert audited(installation) == [f"moved from {shop.handle}.myshopify.com to {new}.myshopify.com"]
    assert set_to(f"{new}.myshopify.com") == moved
    assert len(audited(installation)) == 1
    with pytest.raises(MovedError, match=f"seems to be {new}.myshopify.com now"):
        set_to(f"{shop.handle}.myshopify.com")


@pytest.mark.parametrize("domain", ["renamed", "https://renamed.myshopify.com", "shop.example.com", ""])
def test_what_is_no_domain_of_a_shop_is_not_set(installation: Installation, shelf: Shop, domain: str) -> None:
    installation.connect(shelf)

    with pytest.raises(UsageError, match="is not a store's domain; expected one like new-name"):
        set_domain(installation.database, installation.ring, handle="shelf", domain=domain, app=None)


def test_another_shop_is_not_set(installation: Installation, shop: Shop, other_shop: Shop, urls: str) -> None:
    tenant = installation.connect(shop)
    domain = f"{other_shop.handle}.myshopify.com"

    with pytest.raises(OtherShopError, match=rf"is another shop \({domain}\) .* nothing was changed"):
        set_domain(installation.database, installation.ring, handle=shop.handle, domain=domain, app=None, urls=urls)

    assert installation.tenants() == [tenant]
    assert audited(installation) == []


def test_a_new_token_of_a_renamed_store_is_tried_where_the_store_is(
    installation: Installation, shop: Shop, urls: str
) -> None:
    installation.connect(shop)
    shop.control.rename(f"{shop.handle}-new")
    shop.control.set_tokens("shpat_new")

    tenant = replace_token(installation.database, installation.ring, handle=shop.handle, token="shpat_new", urls=urls)

    assert place(installation, tenant)[1] == f"{shop.handle}-new.myshopify.com"
    with installation.database.connect() as connection:
        assert load_grant(connection, installation.ring, shop.handle).token == "shpat_new"


def test_a_new_secret_of_a_renamed_stores_own_app_is_tried_where_the_store_is(
    installation: Installation, shop: Shop, urls: str
) -> None:
    tenant = installation.connect(shop)
    shop.control.rename(f"{shop.handle}-new")

    replace_app(
        installation.database,
        installation.ring,
        handle=shop.handle,
        secret=authorized_store.APP.secret,
        client_id=authorized_store.APP.client_id,
        urls=urls,
    )

    assert place(installation, tenant)[1] == f"{shop.handle}-new.myshopify.com"


# --- by which domains a tenant is known ---


def test_a_domain_that_another_tenant_has_now_is_that_ones(installation: Installation, acme: Tenant) -> None:
    zulu = replace(acme, tenant_id="zulu", shop_gid="gid://shopify/Shop/9", shop_domain="zulu.myshopify.com")
    with installation.database.connect() as connection:
        registry.update_facts(connection, replace(acme, shop_domain="acme-new.myshopify.com"))
        registry.add(connection, zulu)
    assert known_by(installation, "acme.myshopify.com", "acme-new.myshopify.com") == ["acme", "acme"]

    with installation.database.connect() as connection:
        registry.update_facts(connection, replace(zulu, shop_domain="acme.myshopify.com"))
    assert known_by(installation, "acme.myshopify.com", "zulu.myshopify.com") == ["zulu", "zulu"]

    with installation.database.connect() as connection:
        registry.update_facts(connection, zulu)
    assert known_by(installation, "acme.myshopify.com", "nobody.myshopify.com") == ["zulu", None]


def test_a_tenants_own_secret_is_that_of_all_its_domains(installation: Installation, acme: Tenant) -> None:
    with installation.database.connect() as connection:
        store_app(connection, installation.ring, "acme", None, "shpss_own")
        registry.update_facts(connection, replace(acme, shop_domain="acme-new.myshopify.com"))

        secrets = own_secrets(connection, installation.ring)

    assert secrets == {"acme.myshopify.com": "shpss_own", "acme-new.myshopify.com": "shpss_own"}


def test_errors_are_told_as_any_others(stores: Stores, ask: Ask) -> None:
    stores.new.respond = lambda _: Answered(status=401)
    with pytest.raises(ShopifyError, match="does not accept the access token"):
        ask()
    stores.new.respond = lambda _: Answered(status=404)
    with pytest.raises(XenoError, match="found no store"):
        ask()
