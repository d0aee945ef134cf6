"""How a store is connected by OAuth, and how it is not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from shopify_sandbox.process import SandboxProcess
from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation, Shop
from tests.support.merchant import APP, PUBLIC_URL, Browser, now, signed
from xeno_pipeline.database.connection import Database
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.grants import GrantKind, load_grant
from xeno_pipeline.tenants.offboarding import remove_tenant

ODD_SHOPS = [
    "",
    "acme",
    "acme.example.com",
    "myshopify.com",
    ".myshopify.com",
    "-acme.myshopify.com",
    "acme.myshopify.com.evil.example",
    "evil.example/acme.myshopify.com",
    "evil.example#.myshopify.com",
    "evil.example?.myshopify.com",
    "evil.example\\.myshopify.com",
    "user@acme.myshopify.com",
    "a.b.myshopify.com",
    "acme.myshopify.com:444",
    "acme.myshopify.com/",
    "acme.myshopify.com\n",
    " acme.myshopify.com",
    "acme.myshopify.com\x00",
    "ACME.myshopify.com",
    "acme.myshopifyxcom",
    "acme.myshopify.io",
    "acme_1.myshopify.com",
    "acmé.myshopify.com",
    "\u212acme.myshopify.com",  # the Kelvin sign: a k, once in small letters
    "{handle}.myshopify.com",
    "%61cme.myshopify.com",
    "http://acme.myshopify.com",
    "127.0.0.1",
    "a" * 61 + ".myshopify.com",
]


@pytest.fixture(scope="module")
def connected(
    make_database: Callable[[], Database], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The installation that the tests of this file connect stores to."""
    return Installation(make_database(), ring, tmp_path_factory.mktemp("spool"))


@pytest.fixture(scope="module")
def gateway(
    connected: Installation, sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    key = base64.b64encode(connected.ring.keys["first"]).decode()
    settings = {
        **APP,
        "XENO_SHOPIFY_API_SECRET_PREVIOUS": "shpss_before",
        "XENO_PUBLIC_URL": PUBLIC_URL,
        "XENO_SHOPIFY_URL_TEMPLATE": f"{sandbox.url}/{{handle}}",
        "XENO_ENCRYPTION_KEYS": f"first:{key}",
    }
    with GatewayProcess(connected.database.url, tmp_path_factory.mktemp("gateway"), **settings) as process:
        yield process


@pytest.fixture
def browser(gateway: GatewayProcess) -> Browser:
    return Browser(gateway.url)


@pytest.fixture
def other_browser(gateway: GatewayProcess) -> Browser:
    return Browser(gateway.url)


def is_tenant(connected: Installation, handle: str) -> bool:
    return any(tenant.tenant_id == handle for tenant in connected.tenants())


def test_a_store_that_lets_the_app_in_becomes_a_tenant_whose_sync_is_requested(
    browser: Browser, gateway: GatewayProcess, connected: Installation, shop: Shop
) -> None:
    query = browser.let_in(shop.handle)
    page = browser.come_back(query)

    assert page.status_code == 200
    (tenant,) = [tenant for tenant in connected.tenants() if tenant.tenant_id == shop.handle]
    assert f"<h1>{tenant.name} is connected</h1>" in page.text
    assert (tenant.status, tenant.api_url) == ("active", shop.api_url)
    with connected.database.connect() as connection:
        grant = load_grant(connection, connected.ring, shop.handle)
    assert grant.kind is GrantKind.EXPIRING
    assert grant.refresh_token is not None
    assert grant.expires_at is not None
    assert timedelta(minutes=59) < grant.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert connected.query("select kind, state from ops.syncs where tenant_id = %s", shop.handle) == [
        ("first_read", "queued")
    ]
    logged = str(gateway.log())
    secrets = (grant.token, grant.refresh_token, query["code"], query["state"], query["hmac"], *APP.values())
    assert [secret for secret in secrets if secret in logged] == []


def test_a_store_that_was_renamed_is_the_tenant_that_it_was_by_whatever_name_it_comes(
    browser: Browser, other_browser: Browser, connected: Installation, shop: Shop
) -> None:
    browser.come_back(browser.let_in(shop.handle))
    new = f"{shop.handle}-new"
    shop.control.rename(new)

    for name, someone in ((new, browser), (shop.handle, other_browser)):
        query = someone.let_in(name)
        assert query["shop"] == f"{new}.myshopify.com"
        assert someone.come_back(query).status_code == 200

    (tenant,) = [tenant for tenant in connected.tenants() if tenant.tenant_id.startswith(shop.handle)]
    assert (tenant.tenant_id, tenant.shop_domain) == (shop.handle, f"{new}.myshopify.com")


def test_the_merchant_is_asked_at_his_store_for_what_is_needed_and_nothing_more(browser: Browser, shelf: Shop) -> None:
    answer = browser.install("shelf.myshopify.com")

    assert answer.status_code == 302
    location, _, query = answer.headers["Location"].partition("?")
    assert location == f"{shelf.api_url}/admin/oauth/authorize"
    asked = dict(parse_qsl(query))
    assert asked.pop("state")
    assert asked == {
        "client_id": "sandbox-app",
        "scope": "read_all_orders,read_customer_merge,read_customers,read_orders,read_products",
        "redirect_uri": f"{PUBLIC_URL}/auth/callback",
    }


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(browser: Browser) -> None:
    cookie = browser.install("shelf.myshopify.com").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))


def test_no_state_and_no_cookie_can_be_read_in_the_database(browser: Browser, connected: Installation) -> None:
    location = browser.install("shelf.myshopify.com").headers["Location"]
    (cookie,) = browser.session.cookies.values()
    state = dict(parse_qsl(urlsplit(location).query))["state"]
    kept = str(connected.query("select * from ops.oauth_states"))
    assert state not in kept
    assert cookie not in kept


def test_a_page_is_neither_cached_nor_framed_nor_told_of_to_other_sites(browser: Browser) -> None:
    headers = browser.come_back("shop=acme.myshopify.com").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


# --- attacks ---


@pytest.mark.parametrize("domain", ODD_SHOPS)
def test_what_is_no_shop_leads_nowhere(browser: Browser, domain: str) -> None:
    begun = browser.install(domain)
    assert (begun.status_code, "Location" in begun.headers) == (400, False)

    returned = browser.come_back(signed({"shop": domain, "code": "c", "state": "s", "timestamp": now()}))
    assert (returned.status_code, "Location" in returned.headers) == (400, False)


@pytest.mark.parametrize("name", ["redirect_uri", "return_to", "returnTo", "next", "url", "host"])
def test_no_parameter_leads_the_browser_elsewhere(browser: Browser, shelf: Shop, name: str) -> None:
    begun = browser.install("shelf.myshopify.com", **{name: "https://evil.example/"})
    assert begun.headers["Location"].startswith(f"{shelf.api_url}/admin/oauth/authorize?")
    assert "evil" not in begun.headers["Location"]

    back = {"shop": "shelf.myshopify.com", "state": "s", "timestamp": now(), name: "https://evil.example/"}
    returned = browser.come_back(signed(back))
    assert returned.status_code == 403
    assert "Location" not in returned.headers
    assert "evil" not in returned.text


def test_a_state_that_was_made_up_is_refused(browser: Browser, connected: Installation) -> None:
    query = browser.let_in("shelf")
    answer = browser.come_back(signed({**query, "state": "made-up"}))
    assert answer.status_code == 403
    assert not is_tenant(connected, "shelf")


def test_a_state_is_used_once(browser: Browser, shop: Shop) -> None:
    query = browser.let_in(shop.handle)
    cookies = browser.session.cookies.copy()
    assert browser.come_back(query).status_code == 200
    browser.session.cookies.update(cookies)
    assert browser.come_back(query).status_code == 403


def test_a_state_is_of_the_browser_that_began(
    browser: Browser, other_browser: Browser, connected: Installation
) -> None:
    query = browser.let_in("shelf")
    assert other_browser.come_back(query).status_code == 403  # it has no cookie
    other_browser.let_in("shelf")
    assert other_browser.come_back(query).status_code == 403  # it has its own
    assert not is_tenant(connected, "shelf")


def test_a_state_is_of_the_shop_that_it_was_begun_for(browser: Browser, connected: Installation) -> None:
    query = browser.let_in("shelf")
    answer = browser.come_back(signed({**query, "shop": "void.myshopify.com"}))
    assert answer.status_code == 403
    assert not is_tenant(connected, "void")


def test_a_state_ends_after_ten_minutes(browser: Browser, connected: Installation) -> None:
    query = browser.let_in("shelf")
    connected.query("update ops.oauth_states set expires_at = expires_at - interval '11 minutes' returning 1")
    assert browser.come_back(query).status_code == 403
    browser.install("shelf.myshopify.com")
    assert connected.value("select count(*) from ops.oauth_states where expires_at < now()") == 0


@pytest.mark.parametrize("name", ["code", "shop", "state", "timestamp"])
def test_a_query_that_was_altered_is_refused(browser: Browser, connected: Installation, name: str) -> None:
    query = browser.let_in("shelf")
    query[name] = {"shop": "void.myshopify.com", "timestamp": str(int(query["timestamp"]) + 1)}.get(name, "other")
    assert browser.come_back(query).status_code == 401
    assert not is_tenant(connected, "shelf")


@pytest.mark.parametrize("signature", ["", "0" * 64, "ä", None])
def test_a_query_without_shopifys_signature_is_refused(browser: Browser, signature: str | None) -> None:
    query = browser.let_in("shelf") | {"hmac": signature or ""}
    if signature is None:
        del query["hmac"]
    assert browser.come_back(query).status_code == 401


def test_a_second_value_of_a_name_is_refused_though_the_first_one_is_signed(browser: Browser) -> None:
    query = browser.let_in("shelf")
    assert browser.come_back(f"{urlencode(query)}&shop=void.myshopify.com").status_code == 400


def test_a_query_may_be_signed_with_the_secret_before(browser: Browser) -> None:
    query = {"shop": "shelf.myshopify.com", "timestamp": now(), "state": "s"}
    assert browser.come_back(signed(query, "shpss_before")).status_code == 403  # so it was the state that is wrong
    assert browser.come_back(signed(query, "shpss_other")).status_code == 401


def test_shopifys_own_link_to_install_is_verified(browser: Browser) -> None:
    link = {"shop": "shelf.myshopify.com", "timestamp": now(), "host": "YWRtaW4"}
    assert browser.install(**signed(link)).status_code == 302
    assert browser.install(**signed(link, "shpss_other")).status_code == 401


@pytest.mark.parametrize("seconds", [-600, 600])
def test_an_address_of_another_time_is_refused(browser: Browser, connected: Installation, seconds: int) -> None:
    query = browser.let_in("shelf")
    answer = browser.come_back(signed({**query, "timestamp": str(int(now()) + seconds)}))
    assert answer.status_code == 400
    assert not is_tenant(connected, "shelf")


@pytest.mark.parametrize("timestamp", ["", "soon", "1e9", "-1", "٣", "9" * 400])
def test_a_timestamp_that_is_none_is_refused(browser: Browser, timestamp: str) -> None:
    query = browser.let_in("shelf")
    assert browser.come_back(signed({**query, "timestamp": timestamp})).status_code == 400


def test_a_code_that_was_used_brings_nothing(browser: Browser, connected: Installation, shelf: Shop) -> None:
    query = browser.let_in("shelf")
    form = {"client_id": "sandbox-app", "client_secret": "shpss_sandbox", "code": query["code"]}
    assert requests.post(f"{shelf.api_url}/admin/oauth/access_token", data=form, timeout=30).status_code == 200

    answer = browser.come_back(query)

    assert answer.status_code == 400
    assert "does not accept the code" in answer.text
    assert not is_tenant(connected, "shelf")


def test_a_store_that_withholds_a_scope_is_not_connected_and_told_which(
    browser: Browser, connected: Installation, shop: Shop
) -> None:
    shop.control.set_scopes("read_orders", "read_products")
    answer = browser.connect(shop.handle)
    assert answer.status_code == 403
    assert "did not grant read_all_orders, read_customer_merge, read_customers" in answer.text
    assert not is_tenant(connected, shop.handle)


def test_a_store_that_declines_is_not_connected(browser: Browser, connected: Installation, shop: Shop) -> None:
    shop.control.refuse_app()
    assert browser.connect(shop.handle).status_code == 400
    assert not is_tenant(connected, shop.handle)


def test_a_store_that_is_away_is_not_connected_and_can_be_later(
    browser: Browser, connected: Installation, shop: Shop
) -> None:
    shop.control.fault("status", operation="AuthorizationCode", status=502)
    assert browser.connect(shop.handle).status_code == 503
    assert not is_tenant(connected, shop.handle)
    assert browser.connect(shop.handle).status_code == 200


# --- again ---


def test_a_suspended_store_that_is_connected_again_is_resumed_with_its_data(
    browser: Browser, connected: Installation, shop: Shop
) -> None:
    browser.connect(shop.handle)
    with connected.database.connect() as connection:
        tenant = registry.get(connection, shop.handle)
    connected.sync(tenant, "products")
    with connected.database.connect() as connection:
        registry.set_status(connection, shop.handle, "suspended")
        connection.execute("delete from ops.tenant_credentials where tenant_id = %s", [shop.handle])
    count = "select count(*) from raw.products where tenant_id = %s"
    products = connected.value(count, shop.handle)

    assert browser.connect(shop.handle).status_code == 200

    with connected.database.connect() as connection:
        assert registry.get(connection, shop.handle) == tenant
    assert connected.value(count, shop.handle) == products > 0
    connected.sync(tenant, "products")


def test_a_removed_store_that_is_connected_again_starts_anew(
    browser: Browser, connected: Installation, shop: Shop
) -> None:
    browser.connect(shop.handle)
    with connected.database.connect() as connection:
        remove_tenant(connection, shop.handle)

    assert browser.connect(shop.handle).status_code == 200

    assert is_tenant(connected, shop.handle)
    assert connected.value("select count(*) from ops.syncs where tenant_id = %s", shop.handle) == 1


def test_a_tenant_that_is_connected_again_has_the_new_tokens(
    browser: Browser, connected: Installation, shop: Shop
) -> None:
    tenant = connected.connect(shop)  # with a token that was given by hand
    assert browser.connect(shop.handle).status_code == 200
    with connected.database.connect() as connection:
        assert load_grant(connection, connected.ring, tenant.tenant_id).kind is GrantKind.EXPIRING


@pytest.mark.parametrize("value", ["\0", "\x01\x7f", "\U0001f600", "%ED%A0%80", "%FF", "%00"])
@pytest.mark.parametrize("name", ["state", "code", "timestamp", "hmac", "a\0"])
def test_odd_characters_in_a_signed_query_are_refused_like_others(
    browser: Browser, connected: Installation, shelf: Shop, name: str, value: str
) -> None:
    before = connected.tenants()
    query = {"shop": f"{shelf.handle}.myshopify.com", "timestamp": now(), "state": "s", "code": "c"}
    encoded = {**signed(query | {name: value}), **({"hmac": value} if name == "hmac" else {})}
    assert browser.come_back(encoded).status_code in (400, 401, 403)
    raw = "&".join(f"{key}={value if key == name else encoded[key]}" for key in query)
    assert browser.come_back(raw).status_code in (400, 401, 403)
    assert connected.tenants() == before


def test_a_code_with_odd_characters_is_refused_by_the_store(browser: Browser, shop: Shop) -> None:
    query = {name: value for name, value in browser.let_in(shop.handle).items() if name != "hmac"}
    assert browser.come_back(signed(query | {"code": "\0\U0001f600"})).status_code == 400
