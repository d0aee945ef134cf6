"""A Shopify on loopback that answers what a test tells it to, and remembers what it was asked; and a clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.loopback import Quiet
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.queries import API_VERSION

HANG_SECONDS = 5.0
"""The longest that an answer hangs: a client under test has long gone by then."""


class FakeClock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        return str(json.loads(self.body)["operationName"])

    @property
    def variables(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["variables"])


@dataclass(frozen=True)
class Answered:
    """What to answer.

    Args:
        body: bytes as they are; anything else as JSON.
        status: the HTTP status.
        headers: more headers.
        drop_at: close the connection after so many bytes of the body.
        announced: the length to announce, where it is not the body's.
        hang: answer nothing at all, and keep the connection open.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop_at: int | None = None
    announced: int | None = None
    hang: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def cost(
    requested: float = 10, actual: float = 10, available: float = 1990, maximum: float = 2000, rate: float = 100
) -> dict[str, Any]:
    """`extensions.cost` of an answer."""
    status = {"maximumAvailable": maximum, "currentlyAvailable": available, "restoreRate": rate}
    return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}


def data(content: dict[str, Any], **of_cost: float) -> Answered:
    """A successful answer."""
    return Answered({"data": content, "extensions": {"cost": cost(**of_cost)}})


def failure(code: str | None, message: str = "It failed.", **extensions: Any) -> Answered:
    """An answer of HTTP 200 with a GraphQL error."""
    error = {"message": message} | ({"extensions": {"code": code}} if code else {})
    return Answered({"errors": [error], "extensions": extensions})


class FakeShop:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.respond: Callable[[Asked], Answered] = lambda _: Answered(status=404)
        self._ended = threading.Event()
        shop = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in two writes would wait for the client's acknowledgement of the first

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_GET(self) -> None:
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                shop.asked.append(asked)
                answer = shop.respond(asked)
                if answer.hang:
                    shop._ended.wait(HANG_SECONDS)
                    self.close_connection = True
                    return
                content = answer.content
                self.send_response(answer.status)
                headers = {"X-Shopify-API-Version": API_VERSION, **answer.headers}
                headers["Content-Length"] = str(len(content) if answer.announced is None else answer.announced)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content if answer.drop_at is None else content[: answer.drop_at])
                if answer.drop_at is not None or answer.announced is not None:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, *answers: Answered) -> None:
        """Give these answers one after the other, and the last one from then on."""
        waiting = list(answers)
        self.respond = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


TOKEN = "shpat_9c1e77fd0cafe"

Connect = Callable[..., ShopifyClient]
