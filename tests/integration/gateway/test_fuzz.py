"""Whatever is sent to the gateway: no 500, no traceback in an answer or in the log, and no memory that only grows."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation
from tests.support.merchant import APP, PUBLIC_URL, now, signed
from xeno_pipeline.shopify.webhooks import sign

pytestmark = pytest.mark.thorough

_SECRET = APP["XENO_SHOPIFY_API_SECRET"]
_MOST_MIB_MORE = 64
"""That a process may grow by while it learns what there is; a leak of a kilobyte a request shows in 10,000."""


@dataclass(frozen=True)
class Sent:
    """A request, its framing right and all else free."""

    method: str
    target: bytes
    headers: tuple[tuple[str, bytes], ...]
    body: bytes

    def to_bytes(self) -> bytes:
        head = b"%s %s HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n" % (self.method.encode(), self.target)
        fields = b"".join(b"%s: %s\r\n" % (name.encode(), value) for name, value in self.headers)
        return head + fields + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body


_TEXTS = st.text(max_size=40)
_VALUES = (_TEXTS.map(str.encode) | st.binary(max_size=40)).map(
    lambda value: bytes(byte for byte in value if byte >= 32 and byte != 127)
)
_GIDS = st.sampled_from(["Order", "Customer", "Product", "Cart", "Shop", ""]).flatmap(
    lambda kind: st.integers(-1, 2**70).map(lambda number: f"gid://shopify/{kind}/{number}")
)
_TIMES = st.datetimes().map(lambda time: time.isoformat() + "Z") | _TEXTS
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | _GIDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "order_id", "token", "customer", "line_items", "orders_requested", "shop_id"), _JSON),
        **dict.fromkeys(("admin_graphql_api_id", "admin_graphql_api_customer_kept_id"), _GIDS | _JSON),
        **dict.fromkeys(("updated_at", "created_at"), _TIMES | _JSON),
        **dict.fromkeys(("status", "shop_domain", "myshopify_domain", "iana_timezone", "email"), _TEXTS | _JSON),
    },
)
_RIGHT_PAYLOADS = st.fixed_dictionaries({"id": st.integers(1, 2**62)}, optional={"order_id": st.integers(1, 2**62)})
_BODIES = st.binary(max_size=200) | (_JSON | _PAYLOADS | _RIGHT_PAYLOADS).map(
    lambda content: json.dumps(content).encode()
)
_SHOPS = st.sampled_from(["acme.myshopify.com", "nobody.myshopify.com"])
_TOPICS = st.sampled_from(
    [
        *("orders/create", "orders/updated", "orders/delete", "refunds/create", "customers/update", "customers/merge"),
        *("products/update", "checkouts/update", "carts/update", "bulk_operations/finish", "app/uninstalled"),
        *("shop/update", "shop/redact", "customers/redact", "customers/data_request", "orders/unheard_of"),
    ]
)
_PATHS = st.sampled_from(
    ["/webhooks/shopify", "/auth/install", "/auth/callback", "/healthz", "/readyz", "/metrics", "/"]
) | _TEXTS.map(lambda text: f"/{quote(text)}")


@st.composite
def deliveries(draw: st.DrawFn) -> Sent:
    """Webhooks: most of them signed, with all headers, and something odd in them."""
    body = draw(_BODIES)
    right = {
        "X-Shopify-Hmac-Sha256": sign(body, _SECRET).encode(),
        "X-Shopify-Topic": draw(_TOPICS).encode(),
        "X-Shopify-Shop-Domain": draw(_SHOPS).encode(),
        "X-Shopify-Webhook-Id": draw(st.uuids()).hex.encode(),
        "X-Shopify-Event-Id": b"1",
        "X-Shopify-Triggered-At": b"2026-06-30T12:00:00.123456789Z",
        "X-Shopify-API-Version": b"2026-10",
    }
    odd = draw(st.just({}) | st.dictionaries(st.sampled_from(sorted(right)), st.none() | _VALUES, max_size=2))
    headers = tuple((name, value) for name, value in (right | odd).items() if value is not None)
    return Sent("POST", b"/webhooks/shopify", headers, body)


@st.composite
def visits(draw: st.DrawFn) -> Sent:
    """Pages of OAuth, half of them with a query that Shopify signed."""
    names = st.sampled_from(["shop", "code", "state", "timestamp", "host", "hmac"]) | _TEXTS
    query = draw(st.dictionaries(names, _SHOPS | _TEXTS, max_size=6))
    if draw(st.booleans()):
        query = signed({"timestamp": now(), **{name: value for name, value in query.items() if name != "hmac"}})
    path = draw(st.sampled_from(["/auth/install", "/auth/callback"]))
    cookies = draw(st.just(()) | _VALUES.map(lambda value: (("Cookie", value),)))
    return Sent("GET", f"{path}?{urlencode(query)}".encode(), cookies, b"")


@st.composite
def anything(draw: st.DrawFn) -> Sent:
    """Any method, any path, any body."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "BREW"]))
    target = draw(_PATHS) + draw(st.just("") | _TEXTS.map(lambda text: f"?{quote(text, safe='=&%')}"))
    names = st.sampled_from(["Accept", "Cookie", "Content-Type", "X-Forwarded-For", "X-Shopify-Hmac-Sha256"])
    headers = draw(st.lists(st.tuples(names, _VALUES), max_size=3).map(tuple))
    return Sent(method, target.encode(), headers, draw(_BODIES))


@pytest.fixture
def connecting_gateway(kept: Installation, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway with all its pages; no store answers where it looks for one."""
    settings = {**APP, "XENO_PUBLIC_URL": PUBLIC_URL, "XENO_SHOPIFY_URL_TEMPLATE": "http://127.0.0.1:9/{handle}"}
    with GatewayProcess(kept.database.url, tmp_path, **settings) as process:
        yield process


def test_a_few_hundred_odd_requests_are_answered_and_cost_no_memory(connecting_gateway: GatewayProcess) -> None:
    check_requests(connecting_gateway, 300)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_odd_requests_are_answered_and_cost_no_memory(connecting_gateway: GatewayProcess) -> None:
    check_requests(connecting_gateway, 10_000)


def check_requests(gateway: GatewayProcess, count: int) -> None:
    """Send so many requests, the same in every run, and look at each answer."""
    process = psutil.Process(gateway.process.pid)
    port = int(gateway.url.rpartition(":")[2])
    before = process.memory_info().rss
    statuses: dict[int, int] = {}

    @settings(
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=HealthCheck,
    )
    @given(deliveries() | visits() | anything())
    def send(sent: Sent) -> None:
        status, text = answer(port, sent)
        statuses[status] = statuses.get(status, 0) + 1
        assert status != 500, sent
        assert "Traceback" not in text
        assert 'File "' not in text

    send()
    grown = (process.memory_info().rss - before) / 2**20
    print(f"{count} requests were answered {dict(sorted(statuses.items()))}; memory grew by {grown:.1f} MiB")
    assert {200, 400, 401, 404, 405} <= statuses.keys()
    assert grown < _MOST_MIB_MORE
    assert gateway.get("/healthz").status_code == 200
    assert "Traceback" not in gateway.text()


def answer(port: int, sent: Sent) -> tuple[int, str]:
    """The status and the text of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent.to_bytes())
        response = HTTPResponse(connection, method=sent.method)
        response.begin()
        return response.status, response.read().decode(errors="replace")
