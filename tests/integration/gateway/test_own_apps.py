"""Deliveries that are signed with the secret of an app that is a tenant's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import SECRET, GatewayProcess
from tests.support.installation import Installation
from tests.support.xeno_command import Xeno
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apps import own_secrets, store_app
from xeno_pipeline.tenants.credentials import load_key_ring, rotate
from xeno_pipeline.tenants.registry import Tenant

ORDER = {"id": 7, "updated_at": "2026-06-30T12:00:00+02:00"}
SECONDS = 30
"""For a secret that was just given; the gateway looks every five."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gateway's keys are."""
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def customs(make_database: Callable[[], Database], home: Path) -> Installation:
    """Three tenants: acme and beta have apps of their own."""
    ring = load_key_ring(Settings(home=home / "home"))
    installation = Installation(make_database(), ring, home / "spool")
    with installation.database.connect() as connection:
        for number, handle in enumerate(("acme", "beta", "gamma"), start=1):
            facts = (f"gid://shopify/Shop/{number}", f"{handle}.myshopify.com", "http://127.0.0.1:9", handle)
            registry.add(connection, Tenant(handle, *facts, "EUR", "UTC", "Plus", []))
        store_app(connection, ring, "acme", None, "shpss_of_acme")
        store_app(connection, ring, "beta", None, "shpss_of_beta")
    return installation


@pytest.fixture(scope="module")
def gateway(customs: Installation, home: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(customs.database.url, home) as process:
        yield process


@pytest.mark.parametrize(
    ("shop", "secret", "status"),
    [
        ("acme", "shpss_of_acme", 200),
        ("ACME", "shpss_of_acme", 200),
        ("beta", "shpss_of_beta", 200),
        ("acme", SECRET, 200),  # the installation's own app may be in the same store
        ("beta", "shpss_of_acme", 401),
        ("gamma", "shpss_of_acme", 401),
        ("nobody", "shpss_of_acme", 401),
        ("acme", "shpss_other", 401),
    ],
)
def test_a_tenants_own_secret_signs_for_its_own_shop_alone(
    gateway: GatewayProcess, shop: str, secret: str, status: int
) -> None:
    assert gateway.deliver(ORDER, shop=f"{shop}.myshopify.com", secret=secret).status_code == status


@pytest.mark.thorough
def test_a_secret_that_is_given_or_sealed_anew_is_taken_up_by_the_gateway_that_runs(
    gateway: GatewayProcess, customs: Installation, home: Path
) -> None:
    with customs.database.connect() as connection:
        store_app(connection, customs.ring, "gamma", None, "shpss_of_gamma")
        rotate(Settings(home=home / "home"), connection)

    deadline = time.monotonic() + SECONDS
    while gateway.deliver(ORDER, shop="gamma.myshopify.com", secret="shpss_of_gamma").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert gateway.deliver(ORDER, shop="acme.myshopify.com", secret="shpss_of_acme").status_code == 200


def test_where_every_store_has_its_own_app_the_gateway_needs_none(customs: Installation, home: Path) -> None:
    with GatewayProcess(
        customs.database.url, home, XENO_SHOPIFY_API_SECRET="", XENO_SHOPIFY_API_SECRET_PREVIOUS=""
    ) as bare:
        assert bare.deliver(ORDER, shop="acme.myshopify.com", secret="shpss_of_acme").status_code == 200
        assert bare.deliver(ORDER, shop="acme.myshopify.com", secret=SECRET).status_code == 401
        assert bare.get("/auth/install?shop=acme.myshopify.com").status_code == 404


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "XENO_PUBLIC_URL is not set"),
        ({"XENO_PUBLIC_URL": "http://xeno.example.com"}, "expected a URL like https://xeno.example.com"),
        ({"XENO_PUBLIC_URL": "xeno.example.com"}, "expected a URL like https://xeno.example.com"),
        (
            {
                "XENO_PUBLIC_URL": "https://xeno.example.com",
                "XENO_SHOPIFY_URL_TEMPLATE": "https://evil.example/{handle}",
            },
            "XENO_SHOPIFY_URL_TEMPLATE leads to stores on this machine",
        ),
        (
            {"XENO_PUBLIC_URL": "https://xeno.example.com", "XENO_SHOPIFY_SCOPES": "read_orders,write_products"},
            "XENO_SHOPIFY_SCOPES lacks read_customers",
        ),
    ],
)
def test_a_setting_that_oauth_cannot_use_is_told_of_at_the_start(
    customs: Installation, tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    app = {"XENO_SHOPIFY_API_KEY": "key", "XENO_SHOPIFY_API_SECRET": SECRET}
    said = Xeno(tmp_path, {"XENO_DATABASE_URL": customs.database.url, **app, **settings})("gateway", "serve")
    assert said.exit_code == 2
    assert says in said.err


@pytest.mark.parametrize("damaged", [b"", b"short", bytes(40)], ids=["empty", "cut off", "altered"])
def test_a_secret_that_is_damaged_concerns_no_other_tenant(customs: Installation, home: Path, damaged: bytes) -> None:
    ring = load_key_ring(Settings(home=home / "home"))
    with customs.database.connect() as connection:
        connection.execute("update ops.tenant_apps set sealed_secret = %s where tenant_id = 'acme'", [damaged])
        secrets = own_secrets(connection, ring)
        connection.rollback()
    assert "acme.myshopify.com" not in secrets
    assert secrets["beta.myshopify.com"] == "shpss_of_beta"
