"""Stores are connected, read, shown and removed by commands that say what they did."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.imported import imported_by
from tests.support.installation import Installation, Shop
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.offboarding import uninstall


@pytest.mark.thorough
@pytest.mark.usefixtures("parsed_home")
def test_a_store_is_added_and_read(xeno: Xeno, machine: Installation, shop: Shop) -> None:
    name = shop.handle
    added = xeno("tenant", "add", name, "--api-url", shop.api_url, "--token", "-", stdin=f"{DEFAULT_TOKEN}\n")
    assert (added.exit_code, added.err) == (0, "")
    assert f"{name} is connected:" in added.out

    synced = xeno("sync", name, "--no-transform")

    assert synced.exit_code == 0, synced.err
    orders = next(line.split() for line in synced.out.splitlines() if " orders " in line)
    assert orders[:3] == [name, "orders", "bulk"]
    assert machine.value("select count(*) from raw.orders") == 60


def test_a_store_is_shown_suspended_resumed_and_removed(
    main: Callable[..., Said], machine: Installation, shelf: Shop
) -> None:
    machine.sync(machine.connect(shelf), "orders")

    shown = main("tenant", "show", "shelf")
    assert shown.exit_code == 0
    assert "domain shelf.myshopify.com" in shown.out
    assert "read_all_orders" in shown.out

    assert main("tenant", "suspend", "shelf").out == "shelf is suspended.\n"
    refused = main("sync", "shelf")
    assert (refused.exit_code, refused.out) == (1, "")
    assert refused.err == "shelf is suspended: `xeno tenant resume shelf` resumes it.\n"
    resumed = main("tenant", "resume", "shelf")
    assert (resumed.out, resumed.err) == ("shelf is active.\n", "")
    assert re.search("^shelf .* active ", main("tenant", "list").out, re.MULTILINE)

    assert main("tenant", "remove", "shelf", stdin="n\n").exit_code != 0
    assert machine.value("select count(*) from raw.orders") == 60
    removed = main("tenant", "remove", "shelf", "--yes")
    assert re.fullmatch(r"shelf is removed; [\d,]+ rows were deleted\.\n", removed.out)
    assert machine.value("select count(*) from raw.orders") == 0
    assert main("tenant", "list").out == "There are no tenants yet: `xeno tenant add` connects a store.\n"


def test_who_resumes_a_store_whose_token_was_forgotten_is_told_that_it_needs_one(
    main: Callable[..., Said], machine: Installation, shelf: Shop
) -> None:
    machine.connect(shelf)
    with machine.database.connect() as connection:
        assert uninstall(connection, "shelf", datetime.now(UTC))
    resumed = main("tenant", "resume", "shelf")
    assert (resumed.exit_code, resumed.out) == (0, "shelf is active.\n")
    assert "shelf: no token is stored, so it cannot be read; give one with `xeno tenant set-token shelf`" in resumed.err


@pytest.mark.thorough
def test_a_token_that_sees_sixty_days_only_is_warned_of_on_stderr(xeno: Xeno, shop: Shop) -> None:
    shop.control.set_scopes("read_orders", "read_customers", "read_products")

    added = xeno("tenant", "add", shop.handle, "--api-url", shop.api_url)

    assert added.exit_code == 0
    assert re.match(rf"WARNING  {shop.handle}: without the access scope read_all_orders .* last\s60 days", added.err)


@pytest.mark.thorough
def test_a_new_token_and_a_new_key_leave_the_store_readable(xeno: Xeno, machine: Installation, shop: Shop) -> None:
    machine.connect(shop)
    shop.control.set_tokens("shpat_new")

    assert xeno("tenant", "set-token", shop.handle, "--token", "-", stdin="shpat_new\n").exit_code == 0
    rotated = xeno("db", "rotate-key")

    assert rotated.exit_code == 0
    assert rotated.out.startswith("1 secret re-encrypted under key k")
    assert machine.value("select key_id from ops.tenant_credentials") not in machine.ring.keys
    after = replace(machine, ring=load_key_ring(Settings(home=xeno.home)))
    assert after.sync(after.tenants()[0], "products")["products"].rows_read > 0


def test_a_store_that_was_renamed_is_given_its_new_domain(
    main: Callable[..., Said], machine: Installation, shop: Shop
) -> None:
    machine.connect(shop)
    new = f"{shop.handle}-new"
    shop.control.rename(new)
    where = {"XENO_SHOPIFY_URL_TEMPLATE": f"{shop.sandbox.url}/{{handle}}"}

    wrong = main("tenant", "set-domain", shop.handle, "renamed", **where)
    assert (wrong.exit_code, wrong.err) == (
        2,
        "'renamed' is not a store's domain; expected one like new-name.myshopify.com.\n",
    )
    given = main("tenant", "set-domain", shop.handle, f"{new}.myshopify.com", **where)
    assert (given.exit_code, given.err) == (0, "")
    assert f"{shop.handle} is read at {shop.sandbox.url}/{new}" in given.out.replace("\n", " ")

    shown = main("tenant", "show", shop.handle)
    assert f"domain {new}.myshopify.com" in shown.out


def test_a_store_is_connected_by_an_app_of_its_own_whose_secret_and_tokens_outlive_a_new_key(
    main: Callable[..., Said], machine: Installation, shop: Shop
) -> None:
    own = ("--client-id", "sandbox-app", "--client-secret", "-")
    at = ("--api-url", shop.api_url)
    added = main("tenant", "add", shop.handle, *at, *own, stdin="shpss_sandbox\n")
    assert (added.exit_code, added.err) == (0, "")

    assert main("db", "rotate-key").out.startswith("2 secrets re-encrypted under key k")
    shop.control.expire_tokens()
    after = replace(machine, ring=load_key_ring(Settings(home=machine.spool.parent)))
    assert after.sync(after.tenants()[0], "products")["products"].rows_read > 0

    shop.control.set_app("sandbox-app", "shpss_next")
    refused = main("tenant", "set-app-secret", shop.handle, "--client-secret", "-", stdin="shpss_wrong\n")
    assert refused.exit_code == 1
    assert f"{shop.handle}: the token grant was refused" in refused.err
    given = main("tenant", "set-app-secret", shop.handle, "--client-secret", "-", stdin="shpss_next\n")
    assert (given.exit_code, given.out) == (0, f"{shop.handle} has a new app secret.\n")


@pytest.mark.parametrize(
    "options",
    [("--client-id", "a", "--client-secret", "seen"), ("--client-id", "a", "--token", "-"), ("--client-secret", "-")],
)
def test_a_secret_is_not_taken_from_the_command_line_nor_beside_a_token(
    main: Callable[..., Said], options: tuple[str, ...]
) -> None:
    refused = main("tenant", "add", "acme", *options, stdin="shpss_secret\n")
    assert refused.exit_code == 2
    assert "seen" not in refused.err.replace("can be seen", "")


def test_tenants_are_listed_without_importing_what_that_does_not_need(xeno: Xeno) -> None:
    heavy = {"alembic", "dagster", "dbt", "graphql", "numpy", "requests", "shopify_sandbox", "sqlalchemy"}
    assert imported_by("tenant", "list", environment=xeno.environment()) & heavy == set()


@pytest.mark.thorough
def test_the_embedded_server_starts_by_itself_and_stops_when_told(bare_xeno: Xeno) -> None:
    started = bare_xeno("tenant", "list")
    assert (started.exit_code, started.out) == (0, "There are no tenants yet: `xeno tenant add` connects a store.\n")

    assert bare_xeno("db", "stop").out == "The embedded database is stopped.\n"
    assert EmbeddedServer(bare_xeno.home).stop() is False


def test_the_database_url_is_one_for_other_clients(xeno: Xeno, machine: Installation) -> None:
    assert xeno("db", "url").out == f"{machine.database.url}\n"
    counted = xeno("db", "psql", "-Atc", "select count(*) from ops.tenants")
    assert (counted.exit_code, counted.out) == (0, "0\n")
