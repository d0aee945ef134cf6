"""The sandbox as Shopify's OAuth server: what opens once, what ends, and what may be asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shopify_sandbox.api import AdminApi
from shopify_sandbox.oauth import DEFAULT_APP, OAuthError, signed
from shopify_sandbox.tests.client import LocalClient

QUERY = {
    "client_id": DEFAULT_APP["client_id"],
    "redirect_uri": "http://127.0.0.1:8710/auth/callback",
    "scope": "read_orders,read_products,read_themes",
    "state": "s",
}


@pytest.fixture
def api(local: Callable[..., LocalClient]) -> AdminApi:
    return local().api


def code(api: AdminApi, **other: str) -> str:
    return dict(parse_qsl(urlsplit(api.authorize(QUERY | other)).query))["code"]


def pair(api: AdminApi) -> Any:
    return api.grant({**DEFAULT_APP, "code": code(api), "expiring": "1"})


def refreshed(api: AdminApi, token: str) -> Any:
    return api.grant({**DEFAULT_APP, "grant_type": "refresh_token", "refresh_token": token})


def test_the_merchant_comes_back_with_a_signed_query(api: AdminApi) -> None:
    location = urlsplit(api.authorize(QUERY))
    query = dict(parse_qsl(location.query))
    assert f"{location.scheme}://{location.netloc}{location.path}" == QUERY["redirect_uri"]
    assert query.keys() == {"code", "hmac", "shop", "state", "timestamp"}
    assert (query["shop"], query["state"]) == ("acme.myshopify.com", "s")
    signature = query.pop("hmac")
    assert signed(query, DEFAULT_APP["client_secret"])["hmac"] == signature


@pytest.mark.parametrize("other", [{"client_id": "another"}, {"redirect_uri": "https://evil.example/"}])
def test_another_app_or_another_place_is_refused(api: AdminApi, other: dict[str, str]) -> None:
    with pytest.raises(OAuthError):
        api.authorize(QUERY | other)


def test_a_code_opens_once_and_grants_what_the_store_has_of_what_was_asked_for(api: AdminApi) -> None:
    form = {**DEFAULT_APP, "code": code(api), "expiring": "1"}
    answer = api.grant(form)
    assert answer["scope"] == "read_orders,read_products"
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (3600, 90 * 86400)
    assert api.admits(answer["access_token"])
    with pytest.raises(OAuthError, match="already used"):
        api.grant(form)


def test_without_expiring_a_token_never_ends(api: AdminApi) -> None:
    answer = api.grant({**DEFAULT_APP, "code": code(api)})
    assert answer.keys() == {"access_token", "scope"}
    api.oauth.expire()
    assert api.admits(answer["access_token"])


def test_a_token_ends_by_the_stores_clock(api: AdminApi) -> None:
    token = pair(api)["access_token"]
    api.store.overlay.set("clock_offset", 3601)
    assert not api.admits(token)


def test_a_refresh_replaces_the_pair(api: AdminApi) -> None:
    first = pair(api)
    second = refreshed(api, first["refresh_token"])
    assert not api.admits(first["access_token"])
    assert api.admits(second["access_token"])
    assert refreshed(api, second["refresh_token"])["scope"] == first["scope"]


def test_a_refresh_token_may_be_used_again_until_what_it_brought_is_used(api: AdminApi) -> None:
    first = pair(api)
    lost = refreshed(api, first["refresh_token"])
    again = refreshed(api, first["refresh_token"])
    assert not api.admits(lost["access_token"])
    with pytest.raises(OAuthError):
        refreshed(api, lost["refresh_token"])
    assert api.admits(again["access_token"])
    with pytest.raises(OAuthError, match="active refresh_token"):
        refreshed(api, first["refresh_token"])


def test_what_was_revoked_opens_nothing(api: AdminApi) -> None:
    tokens = pair(api)
    api.oauth.revoke()
    assert not api.admits(tokens["access_token"])
    with pytest.raises(OAuthError):
        refreshed(api, tokens["refresh_token"])


def test_client_credentials_bring_a_token_of_a_day(api: AdminApi) -> None:
    answer = api.grant({**DEFAULT_APP, "grant_type": "client_credentials"})
    assert answer["expires_in"] == 86399
    assert "refresh_token" not in answer
    assert api.admits(answer["access_token"])
    with pytest.raises(OAuthError):
        api.grant({**DEFAULT_APP, "client_secret": "wrong", "grant_type": "client_credentials"})
