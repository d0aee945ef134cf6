"""A proxy before a sandbox's store that spoils single records, on whatever way they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import requests

from tests.support.installation import Shop
from tests.support.loopback import Quiet, serving

_FORWARDED = ("X-Shopify-Access-Token", "Content-Type", "X-Shopify-API-Version")

Spoil = Callable[[dict[str, Any]], Any]
"""Makes of a record something else."""


@dataclass
class Meddler:
    """What is spoilt on the way.

    Args:
        api_url: the store's address behind the proxy.
        spoilt: by gid, what becomes of a record, alone or inside of another.
        operations: the names of the GraphQL operations that were asked, in order.
    """

    api_url: str
    spoilt: dict[str, Spoil] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)

    def meddle(self, value: Any) -> Any:
        """A JSON value with its records spoilt."""
        if isinstance(value, list):
            return [self.meddle(item) for item in value]
        if not isinstance(value, dict):
            return value
        record = {name: self.meddle(item) for name, item in value.items()}
        gid = record.get("id")
        return self.spoilt[gid](record) if isinstance(gid, str) and gid in self.spoilt else record


@contextmanager
def meddler(shop: Shop) -> Iterator[Meddler]:
    """A proxy before a store, for the length of a `with`."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            meddling.operations.append(str(json.loads(body).get("operationName")))
            headers = {name: self.headers[name] for name in _FORWARDED if name in self.headers}
            answer = requests.post(f"{shop.sandbox.url}{self.path}", body, headers=headers, timeout=60)
            self._answer(answer, json.dumps(self._spoilt(answer.json())).encode())

        def do_GET(self) -> None:
            answer = requests.get(unquote(self.path.removeprefix("/bulk/")), timeout=60)
            lines = [json.dumps(meddling.meddle(json.loads(line))) for line in answer.content.splitlines()]
            self._answer(answer, "".join(f"{line}\n" for line in lines).encode())

        def _spoilt(self, answer: Any) -> Any:
            if isinstance(answer, dict) and "objectCount" in answer:
                url = answer["url"] and f"http://127.0.0.1:{server.server_port}/bulk/{quote(answer['url'], safe='')}"
                return {**answer, "url": url, "fileSize": None}
            if isinstance(answer, dict) and "id" not in answer:
                return {name: self._spoilt(value) for name, value in answer.items()}
            if isinstance(answer, list):
                return [self._spoilt(item) for item in answer]
            return meddling.meddle(answer)

        def _answer(self, answer: requests.Response, content: bytes) -> None:
            self.send_response(answer.status_code)
            for name in _FORWARDED:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        meddling = Meddler(f"http://127.0.0.1:{server.server_port}/{shop.handle}")
        yield meddling
