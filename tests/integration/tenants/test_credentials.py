"""A token at rest opens for its own tenant, with its own key, and shows nowhere else."""

from __future__ import annotations

import base64
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.installation import Installation, Shop
from xeno_pipeline.errors import UsageError
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.oauth import App
from xeno_pipeline.tenants.apps import load_app, store_app
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, Purpose, load_key_ring, rotate
from xeno_pipeline.tenants.grants import Grant, GrantKind, load_grant, store_grant
from xeno_pipeline.tenants.onboarding import open_client

TOKEN = "shpat_0123456789abcdef"
ONE, OTHER = bytes(range(32)), bytes(range(1, 33))


def encoded(**keys: bytes) -> str:
    """Keys as XENO_ENCRYPTION_KEYS holds them."""
    return ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in keys.items())


def test_a_sealed_token_opens_again() -> None:
    ring = KeyRing({"one": ONE})
    key_id, sealed = ring.seal("acme", TOKEN)

    assert ring.open("acme", key_id, sealed) == TOKEN
    assert TOKEN.encode() not in sealed


def test_the_same_token_never_looks_the_same_twice() -> None:
    ring = KeyRing({"one": ONE})

    assert len({ring.seal("acme", TOKEN)[1] for _ in range(100)}) == 100


def test_a_token_moved_to_another_tenant_does_not_open() -> None:
    ring = KeyRing({"one": ONE})
    key_id, sealed = ring.seal("acme", TOKEN)

    with pytest.raises(CredentialError, match=r"^other: its token cannot be decrypted"):
        ring.open("other", key_id, sealed)


@pytest.mark.parametrize("place", [0, 12, -1], ids=["nonce", "ciphertext", "tag"])
def test_an_altered_token_does_not_open(place: int) -> None:
    ring = KeyRing({"one": ONE})
    key_id, sealed = ring.seal("acme", TOKEN)
    altered = bytearray(sealed)
    altered[place] ^= 1

    with pytest.raises(CredentialError, match="set it again with `xeno tenant set-token acme`"):
        ring.open("acme", key_id, bytes(altered))


def test_a_lost_key_is_told_by_its_id() -> None:
    key_id, sealed = KeyRing({"lost": ONE}).seal("acme", TOKEN)

    with pytest.raises(CredentialError, match=r"^acme: its token is encrypted under key 'lost', which is not among"):
        KeyRing({"one": OTHER}).open("acme", key_id, sealed)


def test_of_two_keys_the_first_seals_and_both_open() -> None:
    old = KeyRing({"old": ONE}).seal("acme", TOKEN)
    ring = load_key_ring(Settings(encryption_keys=encoded(new=OTHER, old=ONE)))

    assert ring.seal("acme", TOKEN)[0] == "new"
    assert ring.open("acme", *old) == ring.open("acme", *ring.seal("acme", TOKEN)) == TOKEN


@pytest.mark.parametrize(
    "keys",
    [
        *(" ", "one", "one:", ":" + "A" * 44, "one:tooshort", "one:ä", encoded(one=b"x" * 31)),
        *(f"{encoded(one=ONE)},", f"{encoded(one=ONE)},{encoded(one=OTHER)}"),
    ],
)
def test_what_are_no_keys_is_told_without_repeating_them(keys: str) -> None:
    with pytest.raises(UsageError, match=r"^XENO_ENCRYPTION_KEYS (must hold|holds no key)") as refusal:
        load_key_ring(Settings(encryption_keys=keys))

    assert base64.b64encode(ONE).decode() not in str(refusal.value)


def test_without_keys_a_file_in_the_home_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    rings: list[KeyRing] = []
    threads = [threading.Thread(target=lambda: rings.append(load_key_ring(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({tuple(ring.keys.items()) for ring in rings}) == 1
    assert (settings.home / "encryption.keys").stat().st_mode & 0o077 == 0


def test_an_emptied_key_file_is_told_of_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "encryption.keys").write_text("\n")

    with pytest.raises(UsageError, match=r"encryption\.keys holds no key; restore it from a backup"):
        load_key_ring(Settings(home=tmp_path))

    assert (tmp_path / "encryption.keys").read_text() == "\n"


@pytest.fixture
def registered(installation: Installation, shelf: Shop) -> Installation:
    """An installation with one tenant, `shelf`."""
    installation.connect(shelf)
    return installation


def test_rotation_seals_every_token_under_a_new_key_of_the_file(registered: Installation, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    before = load_key_ring(settings)
    with registered.database.connect() as connection:
        store_grant(connection, before, "shelf", Grant.permanent(TOKEN))

    with registered.database.connect() as connection:
        key_id, count = rotate(settings, connection)

    assert count == 1
    assert key_id not in before.keys
    assert registered.value("select key_id from ops.tenant_credentials") == key_id
    after = load_key_ring(settings)
    assert list(after.keys) == [key_id, *before.keys]
    with registered.database.connect() as connection:
        assert load_grant(connection, KeyRing({key_id: after.keys[key_id]}), "shelf").token == TOKEN


def test_rotation_to_the_first_key_of_the_environment_does_what_is_left_to_do(registered: Installation) -> None:
    ring = KeyRing({"old": ONE})
    with registered.database.connect() as connection:
        store_grant(connection, ring, "shelf", Grant.permanent(TOKEN))
    settings = Settings(encryption_keys=encoded(new=OTHER, old=ONE))

    with registered.database.connect() as connection:
        assert rotate(settings, connection) == ("new", 1)
        assert rotate(settings, connection) == ("new", 0)
        assert load_grant(connection, KeyRing({"new": OTHER}), "shelf").token == TOKEN


def test_rotation_seals_refresh_tokens_and_app_secrets_too(registered: Installation) -> None:
    pair = Grant(GrantKind.EXPIRING, TOKEN, datetime(2026, 6, 30, tzinfo=UTC), "shprt_next")
    with registered.database.connect() as connection:
        store_grant(connection, KeyRing({"old": ONE}), "shelf", pair)
        store_app(connection, KeyRing({"old": ONE}), "shelf", "app-of-shelf", "shpss_own")
    settings = Settings(encryption_keys=encoded(new=OTHER, old=ONE))

    with registered.database.connect() as connection:
        assert rotate(settings, connection) == ("new", 3)
        ring = KeyRing({"new": OTHER})
        assert load_grant(connection, ring, "shelf") == pair
        assert load_app(connection, ring, "shelf") == App("app-of-shelf", "shpss_own")


def test_a_secret_opens_for_the_purpose_alone_that_it_was_sealed_for() -> None:
    ring = KeyRing({"one": ONE})
    key_id, sealed = ring.seal("acme", "shprt_next", Purpose.REFRESH_TOKEN)
    assert ring.open("acme", key_id, sealed, Purpose.REFRESH_TOKEN) == "shprt_next"
    with pytest.raises(CredentialError, match=r"^acme: its app secret cannot be decrypted .* set-app-secret acme"):
        ring.open("acme", key_id, sealed, Purpose.APP_SECRET)


def test_a_tenant_without_a_token_is_told_how_to_give_one(registered: Installation) -> None:
    with registered.database.connect() as connection:
        connection.execute("delete from ops.tenant_credentials")

        with pytest.raises(CredentialError, match=r"^shelf: no token is stored; set one with `xeno tenant set-token"):
            load_grant(connection, registered.ring, "shelf")


def test_a_ciphertext_moved_to_another_tenants_row_fails_that_tenants_sync_alone(
    registered: Installation, shop: Shop
) -> None:
    other = registered.connect(shop)
    registered.query(
        """
        update ops.tenant_credentials set sealed_token = moved.sealed_token
        from ops.tenant_credentials moved where moved.tenant_id = 'shelf'
        and tenant_credentials.tenant_id = %s returning 1
        """,
        other.tenant_id,
    )

    assert isinstance(registered.error_of(other, "products"), CredentialError)
    assert registered.value("select count(*) from raw.products") == 0


def test_the_token_is_in_no_repr_no_log_and_no_error(
    registered: Installation, shelf: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shelf_tenant = registered.tenants()[0]
    client = open_client(registered.database, registered.ring, shelf_tenant, app=None)
    registered.sync(shelf_tenant, "products")
    wrong = ShopifyClient(tenant="shelf", api_url=shelf.api_url, token=TOKEN)

    shown = [repr(thing) for thing in (client, wrong, registered, shelf_tenant)]
    shown += [record.getMessage() for record in caplog.records]
    with pytest.raises(Exception, match="Shopify does not accept the access token") as failure:
        registered.connect(Shop(shelf.sandbox, "shop-0000"), token=TOKEN)
    shown += [str(failure.value), repr(failure.value), str(failure.value.__cause__)]
    assert [text for text in shown if DEFAULT_TOKEN in text or TOKEN in text] == []
