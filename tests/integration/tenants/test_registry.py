"""The registry knows each store once, under a handle that is fixed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.installation import Installation
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.offboarding import remove_tenant
from xeno_pipeline.tenants.registry import (
    Tenant,
    TenantExistsError,
    TenantNotActiveError,
    UnknownTenantError,
    UnusableFactsError,
    check_handle,
)
from xeno_pipeline.tenants.zones import UnknownZoneError, zone_of

ACME = Tenant(
    tenant_id="acme",
    shop_gid="gid://shopify/Shop/1",
    shop_domain="acme.myshopify.com",
    api_url="https://acme.myshopify.com",
    name="Acme",
    currency="EUR",
    iana_timezone="Europe/Berlin",
    plan="Plus",
    access_scopes=["read_all_orders", "read_orders"],
)
ZULU = replace(ACME, tenant_id="zulu", shop_gid="gid://shopify/Shop/2", name="Zulu")


@pytest.fixture
def connection(installation: Installation) -> Iterator[Connection]:
    with installation.database.connect() as opened:
        yield opened


@pytest.mark.parametrize("handle", ["acme", "a", "0-9", "a" * 60])
def test_a_handle_is_small_letters_digits_and_hyphens(handle: str) -> None:
    assert check_handle(handle) == handle


@pytest.mark.parametrize(
    "handle", ["", "Acme", "-acme", "a" * 61, "acme shop", "acme\n", "../acme", "acme,zulu", "äcme", "acme'--"]
)
def test_anything_else_is_no_handle(handle: str) -> None:
    with pytest.raises(UsageError, match=r"is not a store handle: that is the part before \.myshopify\.com"):
        check_handle(handle)


def test_who_gives_the_domain_is_told_the_handle() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'acme'\?$"):
        check_handle("acme.myshopify.com")


def test_a_tenant_is_found_as_it_was_added(connection: Connection) -> None:
    registry.add(connection, ACME)

    assert registry.get(connection, "acme") == ACME


def test_tenants_are_listed_by_handle(connection: Connection) -> None:
    registry.add(connection, ZULU)
    registry.add(connection, ACME)

    assert registry.list_all(connection) == registry.active(connection) == [ACME, ZULU]


@pytest.mark.parametrize(
    "again", [ACME, replace(ACME, tenant_id="other"), replace(ACME, shop_gid="gid://shopify/Shop/3")]
)
def test_a_store_is_added_once_by_handle_and_by_shop(connection: Connection, again: Tenant) -> None:
    registry.add(connection, ACME)

    with pytest.raises(TenantExistsError, match=r"^acme: this store is already registered \(active\)\.$"):
        registry.add(connection, again)


def test_a_time_zone_that_the_database_does_not_know_is_refused(connection: Connection) -> None:
    with pytest.raises(UnusableFactsError, match="its time zone is 'Mars/Olympus_Mons', which the database does not"):
        registry.add(connection, replace(ACME, iana_timezone="Mars/Olympus_Mons"))
    registry.add(connection, ACME)
    with pytest.raises(UnusableFactsError):
        registry.update_facts(connection, replace(ACME, iana_timezone=""))

    assert registry.list_all(connection) == [ACME]


def test_a_time_zone_that_python_does_not_know_is_refused_too(connection: Connection) -> None:
    with pytest.raises(UnusableFactsError, match=r"^acme: its time zone is 'UTC[+]3', which Python does not know; set"):
        registry.add(connection, replace(ACME, iana_timezone="UTC+3"))
    for name in ("", "../etc/passwd", "America", "Mars\0"):
        with pytest.raises(UnknownZoneError, match=r"^acme: its time zone is "):
            zone_of("acme", name)


def test_a_run_leaves_out_whoever_is_no_active_tenant(connection: Connection) -> None:
    registry.add(connection, ACME)
    registry.add(connection, ZULU)
    registry.set_status(connection, "acme", "suspended")

    selection = registry.select(connection, ["nobody", "zulu", "acme", "zulu"])

    assert selection.tenants == [ZULU]
    assert selection.skipped == {"nobody": "unknown", "acme": "suspended"}
    assert registry.select(connection).tenants == [ZULU]


def test_facts_are_taken_over_but_the_shop_and_the_status_stay(connection: Connection) -> None:
    registry.add(connection, ACME)

    registry.update_facts(connection, replace(ZULU, tenant_id="acme", status="suspended", access_scopes=[]))

    known = registry.get(connection, "acme")
    assert known == replace(ACME, name="Zulu", access_scopes=[])


def test_facts_that_are_as_they_were_write_nothing(connection: Connection) -> None:
    registry.add(connection, ACME)
    before = connection.execute("select ctid from ops.tenants").fetchall()

    registry.update_facts(connection, ACME)

    assert connection.execute("select ctid from ops.tenants").fetchall() == before


def test_a_suspended_tenant_is_listed_but_not_active(connection: Connection) -> None:
    registry.add(connection, ACME)
    registry.add(connection, ZULU)

    suspended = registry.set_status(connection, "acme", "suspended")

    assert registry.list_all(connection) == [suspended, ZULU]
    assert registry.active(connection) == [ZULU]
    with pytest.raises(TenantNotActiveError, match=r"^acme is suspended: `xeno tenant resume acme` resumes it\.$"):
        registry.active(connection, ["zulu", "acme"])
    assert registry.set_status(connection, "acme", "active") == ACME


def test_tenants_asked_for_twice_come_once_in_the_order_asked(connection: Connection) -> None:
    registry.add(connection, ACME)
    registry.add(connection, ZULU)

    assert registry.active(connection, ["zulu", "acme", "zulu"]) == [ZULU, ACME]


def test_who_is_no_tenant_is_told_so(connection: Connection) -> None:
    for asked in (registry.get, remove_tenant):
        with pytest.raises(UnknownTenantError, match="There is no tenant 'nobody': `xeno tenant list` shows them"):
            asked(connection, "nobody")
    with pytest.raises(UnknownTenantError):
        registry.active(connection, ["nobody"])
    with pytest.raises(UnknownTenantError):
        registry.set_status(connection, "nobody", "suspended")


def test_a_removed_store_may_come_back(connection: Connection) -> None:
    registry.add(connection, ACME)
    remove_tenant(connection, "acme")
    assert registry.list_all(connection) == []

    registry.add(connection, ACME)

    assert registry.list_all(connection) == [ACME]


def test_a_removed_store_may_come_back_under_the_handle_it_has_now(connection: Connection) -> None:
    registry.add(connection, ACME)
    remove_tenant(connection, "acme")

    registry.add(connection, replace(ACME, tenant_id="acme-2"))

    assert connection.execute("select tenant_id from ops.tenants").fetchall() == [("acme-2",)]
