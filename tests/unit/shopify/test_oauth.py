"""Shopify's OAuth as it is spoken: signatures, addresses, and what is made of each answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.fake_shop import Answered, FakeShop
from xeno_pipeline.errors import UsageError
from xeno_pipeline.shopify.errors import (
    MalformedResponseError,
    MovedError,
    OverloadedError,
    ShopifyError,
    UnreachableError,
)
from xeno_pipeline.shopify.oauth import (
    App,
    GrantRefusedError,
    authorize_url,
    check_url_template,
    exchange_code,
    is_signed_query,
    refresh,
    request_token,
    sign_query,
)
from xeno_pipeline.shopify.shop_domains import SHOPIFY_URLS, shop_handle

APP = App("key", "shpss_quiet")
PAIR = {"access_token": "shpat_a", "scope": "read_orders,read_products", "expires_in": 3600, "refresh_token": "shprt_r"}

DOCUMENTED = {
    "code": "0907a61c0c8d55e99db179b68161bc00",
    "hmac": "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf",
    "shop": "some-shop.myshopify.com",
    "state": "0.6784241404160823",
    "timestamp": "1337178173",
}
"""The example in Shopify's documentation, signed with the secret `hush`."""


def test_shopifys_documented_signature_is_verified() -> None:
    assert is_signed_query(DOCUMENTED, ["other", "hush"])
    assert not is_signed_query(DOCUMENTED, ["other"])
    assert not is_signed_query({**DOCUMENTED, "shop": "other.myshopify.com"}, ["hush"])
    assert not is_signed_query(DOCUMENTED, [])


def test_a_delimiter_in_a_value_does_not_pass_for_another_pair() -> None:
    assert sign_query({"a": "1", "b": "2"}, "hush") != sign_query({"a": "1&b=2"}, "hush")
    assert sign_query({"a=b": "1"}, "hush") != sign_query({"a": "b=1"}, "hush")


def test_a_shops_handle_is_read_from_its_domain_alone() -> None:
    assert shop_handle("some-shop.myshopify.com") == "some-shop"


def test_the_merchant_is_asked_for_an_offline_token() -> None:
    url = authorize_url(
        "https://acme.myshopify.com", APP, ["read_orders"], "https://x.example/auth/callback?a=b", "s&t"
    )
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://acme.myshopify.com/admin/oauth/authorize"
    assert dict(parse_qsl(parts.query)) == {
        "client_id": "key",
        "scope": "read_orders",
        "redirect_uri": "https://x.example/auth/callback?a=b",
        "state": "s&t",
    }


@pytest.mark.parametrize("template", [SHOPIFY_URLS, "http://127.0.0.1:8700/{handle}", "http://localhost:8700/{handle}"])
def test_stores_are_at_shopify_or_on_this_machine(template: str) -> None:
    assert check_url_template(template) == template


@pytest.mark.parametrize(
    "template",
    [
        "https://evil.example/{handle}",
        "https://{handle}.evil.example",
        "http://{handle}.myshopify.com",
        "http://127.0.0.1:8700/",
        "http://127.0.0.1@evil.example/{handle}",
        "http://127.0.0.1.evil.example/{handle}",
        "http://{handle}/",
        "http://127.0.0.1/{handle}{handle}",
        "http://127.0.0.1/{handle.__class__}",
        "http://127.0.0.1/{handle!r}",
        "http://127.0.0.1/{}",
        "javascript://127.0.0.1/{handle}",
        "",
    ],
)
def test_stores_are_nowhere_else(template: str) -> None:
    with pytest.raises(UsageError, match=r"^XENO_SHOPIFY_URL_TEMPLATE leads to stores on this machine"):
        check_url_template(template)


def test_a_code_brings_a_pair_that_ends(shop: FakeShop) -> None:
    shop.answer(Answered(PAIR))
    issued = exchange_code("acme", shop.url, APP, "the-code")

    (asked,) = shop.asked
    assert asked.path == "/admin/oauth/access_token"
    form = {"client_id": "key", "client_secret": "shpss_quiet", "code": "the-code", "expiring": "1"}
    assert dict(parse_qsl(asked.body.decode())) == form
    assert (issued.token, issued.refresh_token, issued.scopes) == (
        "shpat_a",
        "shprt_r",
        {"read_orders", "read_products"},
    )
    assert issued.expires_at is not None
    assert timedelta(0) < issued.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_a_token_that_never_ends_is_taken_as_such(shop: FakeShop) -> None:
    shop.answer(Answered({"access_token": "shpat_a", "scope": "read_orders"}))
    issued = exchange_code("acme", shop.url, APP, "the-code")
    assert (issued.expires_at, issued.refresh_token) == (None, None)


def test_what_may_pass_is_tried_again_but_for_a_code_which_opens_once(shop: FakeShop) -> None:
    shop.answer(Answered(status=430), Answered(status=429), Answered(PAIR))
    assert refresh("acme", shop.url, APP, "shprt_q").token == "shpat_a"
    assert {asked.body for asked in shop.asked} == {shop.asked[0].body}

    shop.asked.clear()
    shop.answer(Answered(status=502), Answered(PAIR))
    with pytest.raises(OverloadedError):
        exchange_code("acme", shop.url, APP, "the-code")
    assert len(shop.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_store_that_was_renamed_is_told_apart_from_a_refusal(shop: FakeShop, status: int) -> None:
    new = "https://acme-new.myshopify.com/admin/oauth/access_token"
    shop.answer(Answered({"error": "x"}, status, {"Location": new}))
    with pytest.raises(MovedError, match=r"was redirected .* which seems to be acme-new\.myshopify\.com now") as raised:
        refresh("acme", shop.url, APP, "shprt_r")
    assert raised.value.domain == "acme-new.myshopify.com"
    shop.answer(Answered({"error": "x"}, status, {"Location": "https://["}))
    with pytest.raises(GrantRefusedError):
        refresh("acme", shop.url, APP, "shprt_r")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302])
def test_a_refusal_is_for_good_and_asked_once(shop: FakeShop, status: int) -> None:
    elsewhere = {"Location": f"{shop.url}/elsewhere"} if status in (301, 302) else {}
    shop.answer(Answered({"error": "invalid_request", "error_description": "shprt_q"}, status, elsewhere))
    with pytest.raises(
        GrantRefusedError, match=rf"^acme: the token grant was refused \(HTTP {status}, invalid_request\)\.$"
    ):
        refresh("acme", shop.url, APP, "shprt_q")
    assert [asked.path for asked in shop.asked] == ["/admin/oauth/access_token"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        [],
        None,
        {},
        {**PAIR, "access_token": ""},
        {**PAIR, "access_token": "two\r\nlines"},
        {**PAIR, "access_token": 7},
        {**PAIR, "scope": None},
        {**PAIR, "expires_in": "soon"},
        {**PAIR, "expires_in": 1e300},
        {**PAIR, "refresh_token": None},
        {**PAIR, "refresh_token": "ö"},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_an_answer_that_is_no_pair_is_refused(shop: FakeShop, answer: Any) -> None:
    shop.answer(Answered(answer))
    with pytest.raises(MalformedResponseError):
        refresh("acme", shop.url, APP, "shprt_q")


def test_no_error_repeats_a_secret(shop: FakeShop) -> None:
    told: list[ShopifyError] = []
    for answer in (
        Answered({"error": "shpss_quiet shprt_q"}, 400),
        Answered(b"shpss_quiet shprt_q"),
        Answered(drop_at=0),
    ):
        shop.answer(answer)
        with pytest.raises(ShopifyError) as failed:
            refresh("acme", shop.url, APP, "shprt_q")
        told.append(failed.value)
    with pytest.raises(UnreachableError) as failed:
        request_token("acme", "http://127.0.0.1:9", APP)
    told.append(failed.value)

    causes = [error.__cause__ for error in told]
    assert [text for text in map(str, [*told, *causes, APP]) if "quiet" in text or "shprt_q" in text] == []
