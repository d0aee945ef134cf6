"""A store becomes a tenant after it was tried, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.fake_store import fake_store
from tests.support.installation import Installation, Shop
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.shopify.errors import StoreUnavailableError, TokenRejectedError, UnsupportedVersionError
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.domains import OtherShopError
from xeno_pipeline.tenants.grants import load_grant
from xeno_pipeline.tenants.onboarding import MissingScopeError, connect_store, history_warning, replace_token
from xeno_pipeline.tenants.registry import Tenant, TenantExistsError, UnusableFactsError


def connect(installation: Installation, handle: str, api_url: str | None, token: str = DEFAULT_TOKEN) -> Tenant:
    return connect_store(installation.database, installation.ring, handle=handle, api_url=api_url, token=token)


def nothing_was_written(installation: Installation) -> bool:
    written = installation.value(
        "select (select count(*) from ops.tenants) + (select count(*) from ops.tenant_credentials)"
    )
    return bool(written == 0)


def test_a_store_is_registered_with_what_it_tells_of_itself(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)

    assert tenant == installation.tenants()[0]
    assert (tenant.tenant_id, tenant.shop_domain, tenant.api_url) == ("shelf", "shelf.myshopify.com", shelf.api_url)
    assert (tenant.name, tenant.currency, tenant.iana_timezone) == ("Shelf", "EUR", "Europe/Berlin")
    assert (tenant.plan, tenant.status) == ("Enterprise", "active")
    assert tenant.access_scopes == [
        "read_all_orders",
        "read_customer_merge",
        "read_customers",
        "read_orders",
        "read_products",
    ]
    assert history_warning(tenant) is None
    with installation.database.connect() as connection:
        assert load_grant(connection, installation.ring, "shelf").token == DEFAULT_TOKEN


@pytest.mark.parametrize(
    ("handle", "api_url", "error", "says"),
    [
        ("Acme!", None, UsageError, "'Acme!' is not a store handle"),
        ("acme", "acme.myshopify.com", UsageError, "is not an API URL; expected one like https://"),
        ("acme", "http://acme.myshopify.com", UsageError, "would send the token unencrypted: use https://"),
    ],
)
def test_a_wrong_handle_or_address_is_refused_before_anything_is_sent(
    installation: Installation, handle: str, api_url: str | None, error: type[XenoError], says: str
) -> None:
    with pytest.raises(error, match=says):
        connect(installation, handle, api_url)

    assert nothing_was_written(installation)


def test_a_wrong_token_is_refused(installation: Installation, shelf: Shop) -> None:
    with pytest.raises(TokenRejectedError, match=r"^shelf: Shop was refused: .*\(wrong, expired or revoked\)\."):
        installation.connect(shelf, token="shpat_wrong")

    assert nothing_was_written(installation)


def test_a_missing_scope_is_named(installation: Installation, shop: Shop) -> None:
    shop.control.set_scopes("read_products")

    with pytest.raises(MissingScopeError, match=r"lacks the access scopes read_customers, read_orders; grant them"):
        installation.connect(shop)

    assert nothing_was_written(installation)


def test_a_scope_to_write_is_one_to_read(installation: Installation, shop: Shop) -> None:
    shop.control.set_scopes("write_orders", "write_customers", "write_products", "read_all_orders")

    assert installation.connect(shop).status == "active"


def test_a_token_that_sees_sixty_days_only_is_warned_of_loudly(installation: Installation, shop: Shop) -> None:
    shop.control.set_scopes("read_orders", "read_customers", "read_products")

    warning = history_warning(installation.connect(shop))

    assert warning is not None
    assert "without the access scope read_all_orders Shopify shows only the orders of the last 60 days" in warning
    assert f"`xeno sync {shop.handle} --full`" in warning


def test_where_there_is_no_such_store_the_address_is_doubted(installation: Installation, shelf: Shop) -> None:
    with pytest.raises(StoreUnavailableError, match=r"found no store .* check the handle and the API URL"):
        connect(installation, "nobody", f"{shelf.sandbox.url}/nobody")

    assert nothing_was_written(installation)


def test_a_store_that_answers_with_another_api_version_is_refused(installation: Installation) -> None:
    with (
        fake_store("acme", api_version="2027-10") as url,
        pytest.raises(UnsupportedVersionError, match=r"version 2027-10 of the Admin API instead of 2026-10"),
    ):
        connect(installation, "acme", url)

    assert nothing_was_written(installation)


def test_a_redirect_is_not_followed_with_the_token(installation: Installation) -> None:
    elsewhere = {"Location": "https://elsewhere.example/"}
    with (
        fake_store("acme", status=301, headers=elsewhere) as url,
        pytest.raises(StoreUnavailableError, match="was redirected away from 127"),
    ):
        connect(installation, "acme", url)

    assert nothing_was_written(installation)


@pytest.mark.parametrize("zone", ["Mars/Olympus_Mons", "", "Berlin; drop table ops.tenants"])
def test_a_time_zone_that_is_none_is_refused(installation: Installation, zone: str) -> None:
    with (
        fake_store("acme", ianaTimezone=zone) as url,
        pytest.raises(UnusableFactsError, match=f"^acme: its time zone is '{zone}', which the database does not know"),
    ):
        connect(installation, "acme", url)

    assert nothing_was_written(installation)


def test_a_handle_at_which_another_shop_answers_is_refused(installation: Installation, shelf: Shop) -> None:
    with pytest.raises(OtherShopError, match=r"^acme: the store at .* is shelf \(shelf\.myshopify\.com\)"):
        connect(installation, "acme", shelf.api_url)

    assert nothing_was_written(installation)


def test_a_store_that_is_there_already_is_left_as_it_is(installation: Installation, shelf: Shop) -> None:
    known = installation.connect(shelf)
    with installation.database.connect() as connection:
        registry.set_status(connection, "shelf", "suspended")

    with pytest.raises(TenantExistsError, match=r"already registered \(suspended\)\. Use `xeno tenant resume`"):
        installation.connect(shelf, token="shpat_wrong")

    assert installation.tenants() == [replace(known, status="suspended")]
    with installation.database.connect() as connection:
        assert load_grant(connection, installation.ring, "shelf").token == DEFAULT_TOKEN


def test_a_new_token_is_tried_before_it_replaces_the_old_one(installation: Installation, shop: Shop) -> None:
    installation.connect(shop)

    def give(token: str) -> None:
        replace_token(installation.database, installation.ring, handle=shop.handle, token=token)

    def stored() -> str:
        with installation.database.connect() as connection:
            return load_grant(connection, installation.ring, shop.handle).token

    with pytest.raises(TokenRejectedError):
        give("shpat_new")
    assert stored() == DEFAULT_TOKEN

    shop.control.set_tokens("shpat_new")
    give("shpat_new")
    assert stored() == "shpat_new"


def test_a_token_of_another_shop_is_not_stored(installation: Installation, shelf: Shop) -> None:
    with fake_store("acme") as url:
        connect(installation, "acme", url)
    with fake_store("acme", id="gid://shopify/Shop/999") as url:
        with installation.database.connect() as connection:
            registry.move(connection, "acme", url)

        with pytest.raises(OtherShopError, match=r"^acme: the store at .* is another shop .* nothing was changed\."):
            replace_token(installation.database, installation.ring, handle="acme", token="shpat_other")

    with installation.database.connect() as connection:
        assert load_grant(connection, installation.ring, "acme").token == DEFAULT_TOKEN
