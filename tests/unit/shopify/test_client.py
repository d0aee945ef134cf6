"""Calls to the Admin API: what is tried again, what never is, and what the errors tell (and do not tell)."""

from __future__ import annotations

import logging
import socket
import traceback
from typing import Any

import pytest

from tests.support.fake_shop import TOKEN, Answered, Connect, FakeClock, FakeShop, cost, data, failure
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    AccessDeniedError,
    IgnoredFilterError,
    MalformedResponseError,
    OverloadedError,
    QueryRejectedError,
    ShopifyError,
    StoreUnavailableError,
    TokenRejectedError,
    TooCostlyError,
    UnreachableError,
    UnsupportedVersionError,
)
from xeno_pipeline.shopify.queries import API_VERSION, operation
from xeno_pipeline.shopify.retry import RetryPolicy

COUNT = operation("OrdersCount")
START = operation("BulkOperationStart")
FOUND = {"ordersCount": {"count": 3, "precision": "EXACT"}}
OK = data(FOUND)
THROTTLED = Answered({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})

PASSING = {
    "HTTP 429": Answered(status=429),
    "HTTP 429 until a date": Answered(status=429, headers={"Retry-After": "Sat, 21 Nov 2026 08:00:00 GMT"}),
    "HTTP 429 without sense": Answered(status=429, headers={"Retry-After": "nan"}),
    "HTTP 430": Answered(b"<html>Security rejection</html>", status=430),
    "HTTP 408": Answered(status=408),
    "HTTP 500": Answered(status=500),
    "HTTP 502": Answered(b"<html>Bad Gateway</html>", status=502),
    "HTTP 503": Answered(status=503, headers={"Retry-After": "-1"}),
    "a connection reset in the answer": Answered({"data": FOUND}, drop_at=5),
    "no answer in time": Answered(hang=True),
    "throttled": THROTTLED,
    "an internal error": failure("INTERNAL_SERVER_ERROR"),
}

ODD = {
    "nothing": b"",
    "a page of HTML": b"<html>Down for maintenance</html>",
    "half of an answer": b'{"data": {"ordersCount"',
    "null": None,
    "a list": [],
    "a string": "ok",
    "no data": {"extensions": {}},
    "null as data": {"data": None},
    "a list as data": {"data": [1]},
    "errors that are strings": {"errors": ["boom"]},
    "extensions that are a list": {"data": FOUND, "extensions": [1]},
    "a cost that is none": {"data": FOUND, "extensions": {"cost": {"throttleStatus": {"currentlyAvailable": None}}}},
    "warnings that are none": {"data": FOUND, "extensions": {"search": ["odd"]}},
}

INTERNAL = (
    "Internal error. Looks like something went wrong on our end.\nRequest ID: 58-17 (include this in support requests)."
)
WITHOUT_A_CODE: dict[str, tuple[Any, type[ShopifyError]]] = {
    "throttled": ([{"message": "Throttled"}], OverloadedError),
    "throttled, with extensions of another kind": (
        [{"message": "Throttled", "extensions": {"documentation": "https://shopify.dev"}}],
        OverloadedError,
    ),
    "a time-out": ([{"message": "Timeout", "locations": [{"line": 1, "column": 1}]}], OverloadedError),
    "an internal error": ([{"message": INTERNAL}], OverloadedError),
    "an internal error in short": ([{"message": "Internal error", "extensions": {"code": None}}], OverloadedError),
    "one beside another": ([{"message": "Timeout"}, {"message": INTERNAL}], OverloadedError),
    "one in a string": ("Throttled", OverloadedError),
    "REST's words": (
        "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
        OverloadedError,
    ),
    "strings in a list": (["Timeout"], OverloadedError),
    "one that is not in a list": ({"message": "Throttled"}, OverloadedError),
    "an object of lists": ({"base": ["Service Unavailable"]}, OverloadedError),
    "a code in small letters": ([{"message": "?", "extensions": {"code": "throttled"}}], OverloadedError),
    "the number of a status": ([{"message": "?", "extensions": {"code": 429}}], OverloadedError),
    "an old name": ([{"message": "?", "extensions": {"code": "SERVICE_UNAVAILABLE"}}], OverloadedError),
}
"""The value of `errors`, and how it ends when it does not pass."""

UNMISTAKEN: dict[str, tuple[Any, type[ShopifyError]]] = {
    "a code counts more than a message": (
        [{"message": "Throttled", "extensions": {"code": "ACCESS_DENIED"}}],
        AccessDeniedError,
    ),
    "a field's name": ([{"message": "Field 'throttled' doesn't exist on type 'Shop'"}], QueryRejectedError),
    "a longer sentence": ([{"message": "Timeout is not a valid value for status"}], QueryRejectedError),
    "a denial of such a field": (
        [{"message": "Access denied for timeout field. Required access: `read_timeout` access scope."}],
        AccessDeniedError,
    ),
    "a denial without a code": (
        [{"message": "This app is not approved to access the Customer object. See https://shopify.dev for more."}],
        AccessDeniedError,
    ),
    "a cost without a code": (
        [{"message": "Query cost is 1723, which exceeds the single query max cost limit (1000).\n\nSee https://x.y"}],
        TooCostlyError,
    ),
    "one that passes beside one that does not": (
        [{"message": "Timeout"}, {"message": "Variable $x of type Int! was provided invalid value"}],
        QueryRejectedError,
    ),
    "an object of other problems": ({"query": "Required parameter missing or invalid"}, QueryRejectedError),
    "a string of another": ("Not Found", QueryRejectedError),
}

IGNORED = {"search": [{"path": ["orders"], "query": "x:1", "warnings": [{"field": "x", "message": "Unknown filter."}]}]}
FINAL: dict[str, tuple[Answered, type[ShopifyError], str]] = {
    "HTTP 401": (Answered(status=401), TokenRejectedError, "xeno tenant set-token acme"),
    "HTTP 402": (Answered(status=402), StoreUnavailableError, "owner pays"),
    "HTTP 403": (Answered(status=403), StoreUnavailableError, "reinstall"),
    "HTTP 404": (Answered(status=404), StoreUnavailableError, "check the handle"),
    "HTTP 423": (Answered(status=423), StoreUnavailableError, "ask Shopify's support"),
    "HTTP 400": (Answered(status=400), StoreUnavailableError, "check the API URL"),
    "a redirect": (Answered(status=301, headers={"Location": "/else"}), StoreUnavailableError, "myshopify.com address"),
    "access denied": (failure("ACCESS_DENIED"), AccessDeniedError, "Grant the app that scope"),
    "a validation error": (failure("undefinedField"), QueryRejectedError, "Upgrade"),
    "an error without a code": (failure(None), QueryRejectedError, "Upgrade"),
    "errors in one string": (Answered({"errors": "Not Found"}), QueryRejectedError, "Upgrade"),
    "too costly a query": (failure("MAX_COST_EXCEEDED"), TooCostlyError, "Upgrade"),
    "an ignored filter": (Answered({"data": FOUND, "extensions": IGNORED}), IgnoredFilterError, "upgrade"),
    "an older version": (
        Answered({"data": FOUND}, headers={"X-Shopify-API-Version": "2027-01"}),
        UnsupportedVersionError,
        "upgrade",
    ),
}


def test_a_call_sends_the_operation_its_variables_and_the_token(shop: FakeShop, client: ShopifyClient) -> None:
    shop.answer(OK)
    answer = client.execute(COUNT, {"query": "id:>5"})
    (asked,) = shop.asked
    assert asked.path == f"/admin/api/{API_VERSION}/graphql.json"
    assert (asked.operation, asked.variables) == ("OrdersCount", {"query": "id:>5"})
    assert asked.headers["x-shopify-access-token"] == TOKEN
    assert (answer.data, answer.requested_cost) == (FOUND, 10)


def test_an_answer_without_extensions_is_an_answer(shop: FakeShop, client: ShopifyClient) -> None:
    shop.answer(Answered({"data": FOUND}))
    answer = client.execute(COUNT)
    assert (answer.data, answer.requested_cost) == (FOUND, None)


# --- what passes by itself ---


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
def test_what_may_pass_by_itself_is_tried_again(trouble: Answered, shop: FakeShop, connect: Connect) -> None:
    client = connect(retry_policy=RetryPolicy(read_timeout=0.1))
    shop.answer(trouble, trouble, OK)
    assert client.execute(COUNT).data == FOUND
    assert (client.usage.requests, client.usage.retries) == (3, 2)


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_answer_that_is_no_graphql_is_tried_again_and_then_told(body: Any, shop: FakeShop, connect: Connect) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    shop.answer(Answered(body), OK)
    assert client.execute(COUNT).data == FOUND
    shop.answer(Answered(body))
    with pytest.raises(MalformedResponseError, match=r"acme: OrdersCount .* no GraphQL answer.* try again later"):
        client.execute(COUNT)


@pytest.mark.parametrize(("errors", "kind"), WITHOUT_A_CODE.values(), ids=WITHOUT_A_CODE)
def test_an_error_without_a_code_is_tried_again_like_the_one_with_it(
    errors: Any, kind: type[ShopifyError], shop: FakeShop, connect: Connect
) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    shop.answer(Answered({"errors": errors}), OK)
    assert client.execute(COUNT).data == FOUND
    shop.answer(Answered({"data": None, "errors": errors}))
    with pytest.raises(kind, match=r"^acme: OrdersCount .* try again later") as raised:
        client.execute(COUNT)
    assert isinstance(raised.value, kind)


@pytest.mark.parametrize(("errors", "kind"), UNMISTAKEN.values(), ids=UNMISTAKEN)
def test_a_message_that_merely_contains_such_a_word_is_told_at_once(
    errors: Any, kind: type[ShopifyError], shop: FakeShop, client: ShopifyClient
) -> None:
    shop.answer(Answered({"errors": errors}))
    with pytest.raises(kind) as raised:
        client.execute(COUNT)
    assert type(raised.value) is kind
    assert len(shop.asked) == 1


def test_a_throttle_without_a_code_surely_did_nothing(shop: FakeShop, client: ShopifyClient) -> None:
    shop.answer(Answered({"errors": [{"message": "Throttled"}]}), Answered(status=430), OK)
    assert client.execute(START, repeatable=False).data == FOUND


def test_a_call_waits_as_long_as_shopify_asks(shop: FakeShop, client: ShopifyClient, clock: FakeClock) -> None:
    shop.answer(Answered(status=429, headers={"Retry-After": "7.5"}), OK)
    client.execute(COUNT)
    assert clock.slept == [7.5]
    assert client.usage.seconds_waiting == 7.5


def test_a_call_gives_up_at_once_when_shopify_asks_for_more_time_than_there_is(
    shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    shop.answer(Answered(status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(OverloadedError):
        client.execute(COUNT)
    assert clock.slept == []


def test_pauses_are_jittered_and_capped_and_end_at_the_deadline(
    shop: FakeShop, connect: Connect, clock: FakeClock
) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=300, longest_pause=8))
    shop.answer(Answered(status=503))
    with pytest.raises(OverloadedError, match=r"^acme: OrdersCount met HTTP 503\. .* try again later"):
        client.execute(COUNT)
    assert max(clock.slept) <= 8
    assert 300 - 8 < sum(clock.slept) <= 300  # the next pause would have ended past the deadline
    assert len(set(clock.slept)) == len(clock.slept)


def test_time_spent_in_attempts_counts_towards_the_deadline(shop: FakeShop, connect: Connect, clock: FakeClock) -> None:
    def slowly_failing(_: object) -> Answered:
        clock.now += 60
        return Answered(status=504)

    client = connect(retry_policy=RetryPolicy(deadline=180))
    shop.respond = slowly_failing
    with pytest.raises(OverloadedError):
        client.execute(COUNT)
    assert len(shop.asked) == 3


def test_waiting_for_points_does_not_count_towards_the_deadline(
    shop: FakeShop, connect: Connect, clock: FakeClock
) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=30))
    dry = cost(requested=600, available=0, rate=1)
    shop.answer(failure("THROTTLED", cost=dry), OK)
    client.execute(COUNT)
    assert clock.slept[-1] == pytest.approx(1200, abs=1)  # what it costs, and as much for others


def test_a_throttled_call_is_sent_again_once_its_real_cost_is_there(
    shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    shop.answer(failure("THROTTLED", cost=cost(requested=900, available=850, rate=100)), OK)
    client.execute(COUNT, expected_cost=10)
    assert sum(clock.slept) >= (900 - 850) / 100


# --- what does not ---


@pytest.mark.parametrize(("answer", "kind", "remedy"), FINAL.values(), ids=FINAL)
def test_what_repeating_cannot_help_is_told_at_once(
    answer: Answered, kind: type[ShopifyError], remedy: str, shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    shop.answer(answer)
    with pytest.raises(kind) as raised:
        client.execute(COUNT)
    assert str(raised.value).startswith("acme: OrdersCount ")
    assert remedy in str(raised.value)
    assert (raised.value.tenant, raised.value.operation) == ("acme", "OrdersCount")
    assert (len(shop.asked), clock.slept) == (1, [])


def test_an_access_error_counts_more_than_an_internal_one_beside_it(shop: FakeShop, client: ShopifyClient) -> None:
    codes = ("INTERNAL_SERVER_ERROR", "ACCESS_DENIED")
    shop.answer(Answered({"errors": [{"message": code, "extensions": {"code": code}} for code in codes]}))
    with pytest.raises(AccessDeniedError):
        client.execute(COUNT)


def test_a_redirect_never_takes_the_token_to_another_host(shop: FakeShop, client: ShopifyClient) -> None:
    with FakeShop() as elsewhere:
        shop.answer(Answered(status=307, headers={"Location": f"{elsewhere.url}/admin"}))
        with pytest.raises(StoreUnavailableError, match="redirected away"):
            client.execute(COUNT)
        assert elsewhere.asked == []


@pytest.mark.parametrize("answer", [Answered(status=502), failure("INTERNAL_SERVER_ERROR"), Answered(b"")])
def test_what_must_not_happen_twice_is_not_repeated_once_it_may_have_happened(
    answer: Answered, shop: FakeShop, client: ShopifyClient
) -> None:
    shop.answer(answer, OK)
    with pytest.raises((OverloadedError, MalformedResponseError)):
        client.execute(START, repeatable=False)
    assert len(shop.asked) == 1


@pytest.mark.parametrize("answer", [Answered(status=429), THROTTLED])
def test_what_must_not_happen_twice_is_repeated_when_it_surely_did_not(
    answer: Answered, shop: FakeShop, client: ShopifyClient
) -> None:
    shop.answer(answer, OK)
    assert client.execute(START, repeatable=False).data == FOUND


# --- hosts that are not there ---


def test_a_host_that_takes_no_connection_is_given_up_soon(connect: Connect, clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnreachableError, match=rf"acme: OrdersCount could not connect to 127.0.0.1:{port}: check"):
        connect(api_url=f"http://127.0.0.1:{port}").execute(COUNT)
    assert sum(clock.slept) <= RetryPolicy().connect_deadline


def test_a_host_that_does_not_even_refuse_is_unreachable_too(connect: Connect) -> None:
    client = connect(api_url="https://127.0.0.1:9", retry_policy=RetryPolicy(connect_timeout=1e-9, connect_deadline=1))
    with pytest.raises(UnreachableError, match=r"could not connect to 127\.0\.0\.1:9"):
        client.execute(COUNT)


def test_a_host_that_speaks_no_tls_is_unreachable(shop: FakeShop, connect: Connect) -> None:
    client = connect(api_url=shop.url.replace("http:", "https:"), retry_policy=RetryPolicy(connect_deadline=1))
    with pytest.raises(UnreachableError, match="could not connect"):
        client.execute(COUNT)


@pytest.mark.parametrize(
    "url", ["acme.myshopify.com", "ftp://acme.myshopify.com", "https://", "http://[", f"https://{'a' * 80}.test"]
)
def test_an_api_url_that_is_none_is_told_at_once(url: str, connect: Connect, clock: FakeClock) -> None:
    with pytest.raises(UnreachableError, match="the API URL is invalid"):
        connect(api_url=url).execute(COUNT)
    assert clock.slept == []


# --- secrets ---


@pytest.mark.parametrize(
    "answer",
    [*PASSING.values(), *(answer for answer, _, _ in FINAL.values()), Answered(TOKEN.encode()[:3])],
)
def test_the_token_shows_in_no_error_log_or_repr(
    answer: Answered, shop: FakeShop, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")  # others set it, Kubernetes' client among them
    client = connect(retry_policy=RetryPolicy(deadline=1, read_timeout=0.02))
    shop.answer(answer)
    with pytest.raises(ShopifyError) as raised:
        client.execute(COUNT)
    told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(client) + repr(client.clone())
    assert "acme: OrdersCount" in told
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    assert TOKEN not in told


@pytest.mark.parametrize("bad", ["", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nX: y", f"{TOKEN}’", f"{TOKEN}\x00"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_quoted(bad: str, connect: Connect) -> None:
    with pytest.raises(TokenRejectedError, match=r"acme: the access token .*set-token acme") as raised:
        connect(token=bad)
    assert TOKEN not in "".join(traceback.format_exception(raised.value, limit=0))


# --- sharing ---


def test_twins_share_the_bucket_and_count_for_themselves(
    shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    clone = client.clone()
    shop.answer(data(FOUND, requested=300, actual=250, available=0, rate=100))
    client.execute(COUNT)
    clone.execute(COUNT)
    assert sum(clock.slept) == pytest.approx(6)  # 300 points and as many for others, at 100 a second
    for one in (client, clone):
        assert (one.usage.requests, one.usage.points) == (1, 250)
    assert client.usage.bytes > 0
    assert (client.usage.seconds_waiting, clone.usage.seconds_waiting) == (0, pytest.approx(6))
