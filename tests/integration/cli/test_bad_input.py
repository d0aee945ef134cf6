"""Bad input meets one clear sentence and a non-zero exit, and leaves everything as it was."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable

import pytest

from tests.support.fake_store import fake_store
from tests.support.installation import Installation, Shop, changed
from tests.support.loopback import free_port
from tests.support.xeno_command import Said, Xeno

USAGE, FAILURE = 2, 1


def check_one_sentence(said: Said, exit_code: int, pattern: str) -> None:
    """It ended so, printed nothing, and complained in one line that ends as a sentence does."""
    assert (said.exit_code, said.out) == (exit_code, "")
    lines = [line for line in said.err.splitlines() if " Retrying in " not in line]
    assert len(lines) == 1, said.err
    assert re.search(pattern, lines[0]), lines[0]
    assert lines[0].endswith((".", "?"))


@pytest.mark.parametrize(
    ("command", "stdin", "exit_code", "says"),
    [
        ("tenant add Acme!", "t\n", USAGE, "^'Acme!' is not a store handle: "),
        ("tenant add acme.myshopify.com", "t\n", USAGE, r"Did you mean 'acme'\?$"),
        ("tenant add acme --token shpat_x", "", USAGE, "^A token on the command line can be seen by others: "),
        ("tenant add acme --token -", "\n", USAGE, "^No token was given: "),
        ("tenant add acme --token - --api-url http://acme.example", "t\n", USAGE, "would send the token unencrypted"),
        ("tenant show nobody", "", USAGE, "^There is no tenant 'nobody': "),
        ("tenant remove nobody --yes", "", USAGE, "^There is no tenant 'nobody': "),
        ("sync nobody", "", USAGE, "^There is no tenant 'nobody': "),
        ("transform nobody", "", USAGE, "^There is no tenant 'nobody': "),
        ("sync", "", USAGE, "^There are no active tenants: `xeno tenant add` connects a store"),
        ("sync --stream refunds", "", USAGE, "^There is no stream 'refunds'; there are shop, products, customers, "),
        ("transform --as-of yesterday", "", USAGE, "yesterday"),
        ("db stop", "", USAGE, "^XENO_DATABASE_URL names a server that is not embedded: "),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(
    main: Callable[..., Said], machine: Installation, command: str, stdin: str, exit_code: int, says: str
) -> None:
    check_one_sentence(main(*command.split(), stdin=stdin), exit_code, says)

    assert machine.tenants() == []


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("XENO_DATABASE_URL", "mysql://host/shops", "^XENO_DATABASE_URL is not a PostgreSQL URL: "),
        ("XENO_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/x", "Connection refused.*correct XENO_DATABASE_URL"),
        ("XENO_ENCRYPTION_KEYS", "one:tooshort", "^XENO_ENCRYPTION_KEYS must hold `id:base64` pairs of 32 random "),
        ("XENO_SANDBOX_PORT", "many", "has a setting that cannot be used: XENO_SANDBOX_PORT: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_of(
    main: Callable[..., Said], machine: Installation, shelf: Shop, setting: str, value: str, says: str
) -> None:
    said = main("tenant", "add", "shelf", "--api-url", shelf.api_url, **{setting: value})

    check_one_sentence(said, said.exit_code or FAILURE, says)
    assert "s3cret" not in said.err
    assert machine.tenants() == []


def test_a_store_that_cannot_be_connected_is_not_registered(
    main: Callable[..., Said], machine: Installation, shop: Shop
) -> None:
    def add(handle: str, url: str) -> Said:
        return main("tenant", "add", handle, "--api-url", url)

    check_one_sentence(add("nobody", f"{shop.sandbox.url}/nobody"), FAILURE, "^nobody: Shop found no store ")
    check_one_sentence(add("other", shop.api_url), FAILURE, f"^other: the store at .* is {shop.handle} ")
    with fake_store("acme", api_version="2027-10") as url:
        check_one_sentence(add("acme", url), FAILURE, "answered by version 2027-10 of the Admin API instead of 2026-10")
    with fake_store("acme", ianaTimezone="Mars/Olympus_Mons") as url:
        check_one_sentence(add("acme", url), FAILURE, "^acme: its time zone is 'Mars/Olympus_Mons', which the database")
    shop.control.set_scopes("read_orders")
    check_one_sentence(add(shop.handle, shop.api_url), FAILURE, "lacks the access scopes read_customers, read_products")

    assert machine.tenants() == []
    assert machine.value("select count(*) from ops.tenant_credentials") == 0


# --- the same through the real executable ---


@pytest.mark.thorough
def test_a_wrong_token_is_refused_and_not_repeated(xeno: Xeno, machine: Installation, shelf: Shop) -> None:
    said = xeno("tenant", "add", "shelf", "--api-url", shelf.api_url, "--token", "-", stdin="shpat_wrong\n")

    check_one_sentence(said, FAILURE, r"does not accept the access token \(wrong, expired or revoked\)\. Give a new")
    assert "shpat_wrong" not in said.err
    assert machine.tenants() == []


@pytest.mark.thorough
def test_an_unreachable_host_is_told_of_within_seconds(xeno: Xeno, machine: Installation) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"

    said = xeno("tenant", "add", "acme", "--api-url", nowhere)

    check_one_sentence(said, FAILURE, r"^acme: Shop could not connect to 127\.0\.0\.1:\d+: check the API URL")
    assert machine.tenants() == []


@pytest.mark.thorough
def test_a_store_that_is_already_there_stays_as_it_is(xeno: Xeno, machine: Installation, shelf: Shop) -> None:
    known = machine.connect(shelf)

    said = xeno("tenant", "add", "shelf", "--api-url", shelf.api_url)

    check_one_sentence(said, FAILURE, r"^shelf: this store is already registered \(active\)\.$")
    assert machine.tenants() == [known]


@pytest.mark.thorough
def test_an_unknown_tenant_is_a_sentence(xeno: Xeno) -> None:
    check_one_sentence(xeno("sync", "nobody"), USAGE, "^There is no tenant 'nobody': `xeno tenant list` shows them")


def test_an_absent_database_is_a_sentence(xeno: Xeno, machine: Installation) -> None:
    absent = re.sub(r"/test_\d+\?", "/nowhere?", machine.database.url)

    said = xeno("tenant", "list", XENO_DATABASE_URL=absent)

    check_one_sentence(said, FAILURE, '^The database nowhere at .* "nowhere" does not exist')


def no_large_files() -> None:
    """Let the process write no file beyond 50 kB: as good as a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def complaints(said: Said) -> list[str]:
    """The lines about a sync that failed."""
    assert said.exit_code == FAILURE
    assert "Traceback" not in said.err
    return [line for line in said.err.splitlines() if " failed. " in line]


@pytest.mark.thorough
@pytest.mark.usefixtures("parsed_home")
def test_a_sync_that_fails_says_why_and_leaves_raw_as_it_was(xeno: Xeno, machine: Installation, shop: Shop) -> None:
    machine.sync(machine.connect(shop))
    shop.control.update_order(tags=["urgent"])
    before = machine.row_versions()

    shop.control.fault("bulk_malformed", connection="orders")
    (line,) = complaints(xeno("sync", "--stream", "orders", "--full", "--no-transform"))
    assert re.search(
        r"orders failed\. .* is malformed in line [\d,]+; nothing was loaded\. Run the sync again\.$", line
    )
    (line,) = complaints(xeno("sync", "--stream", "orders", "--full", "--no-transform", before=no_large_files))
    assert "The disk of the spool (in XENO_HOME) has no room left for orders of" in line
    shop.control.set_tokens()
    (line,) = complaints(xeno("sync", "--stream", "orders", "--no-transform"))
    assert line.endswith(f"Give a new one with `xeno tenant set-token {shop.handle}`.")

    assert changed(before, machine.row_versions()) == {}
