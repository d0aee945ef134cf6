"""Whatever is delivered, it is understood or refused in a sentence; what is understood fits the inbox."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xeno_pipeline.shopify.webhooks import Delivery, MalformedWebhookError, event_of, is_signed, read_headers, sign

TOPICS = ["orders/create", "orders/updated", "orders/delete", "customers/update", "customers/delete", "products/create"]
TOPICS += ["customers/merge", "refunds/create", "checkouts/update", "carts/create", ""]

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
times = st.datetimes(timezones=st.timezones()).map(lambda instant: instant.isoformat()) | st.text()
gids = st.from_regex(r"gid://shopify/(Order|Customer|Product)/[0-9]{1,21}", fullmatch=True)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "id": scalars,
        "order_id": scalars,
        "admin_graphql_api_id": gids | scalars,
        "admin_graphql_api_customer_kept_id": gids | scalars,
        "admin_graphql_api_customer_deleted_id": gids | scalars,
        "status": st.sampled_from(["completed", "failed"]) | scalars,
        "created_at": times | scalars,
        "updated_at": times | scalars,
    },
)


@pytest.mark.thorough
@settings(max_examples=1500, deadline=None)
@given(topic=st.sampled_from(TOPICS), payload=payloads | scalars | st.lists(scalars))
def test_any_payload_is_understood_or_refused(topic: str, payload: Any) -> None:
    try:
        event = event_of(Delivery(topic, "acme.myshopify.com", "w", None, None), orjson.dumps(payload))
    except MalformedWebhookError:
        return
    for gid in (event.read_gid, event.deleted_gid) if event else ():
        assert gid is None or re.fullmatch(r"gid://shopify/(Order|Customer|Product)/[1-9][0-9]{0,18}", gid)
    if event is not None and event.changed_at is not None:
        assert event.changed_at.utcoffset() is not None


@settings(max_examples=500, deadline=None)
@given(body=st.binary())
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    with contextlib.suppress(MalformedWebhookError):
        event_of(Delivery("orders/updated", "acme.myshopify.com", "w", None, None), body)


@settings(max_examples=300, deadline=None)
@given(body=st.binary(), other=st.binary(), signature=st.none() | st.text())
def test_a_signature_fits_its_own_bytes_and_secret_alone(body: bytes, other: bytes, signature: str | None) -> None:
    assert is_signed(body, sign(body, "secret"), ["another", "secret"])
    assert not is_signed(body, sign(body, "stranger"), ["another", "secret"])
    assert is_signed(other, sign(body, "secret"), ["secret"]) == (other == body)
    assert not is_signed(body, signature, ["secret"])


def test_the_signature_is_the_documented_one() -> None:
    """As `openssl dgst -sha256 -hmac secret -binary | base64` signs it."""
    assert sign(b'{"id":7}', "secret") == "8H4ArshMx7aSM6QLEs/Ycf33WRssDJvCNGfn8yZZeKA="


@pytest.mark.parametrize("value", ["", "a b", "a\x00", "a" * 256, "ä"])
def test_a_header_that_is_misshapen_is_named(value: str) -> None:
    headers = {"x-shopify-topic": "orders/create", "x-shopify-shop-domain": "a", "x-shopify-webhook-id": value}
    with pytest.raises(MalformedWebhookError, match="x-shopify-webhook-id"):
        read_headers(headers)
