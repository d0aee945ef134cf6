"""A Shopify on loopback that has exactly the records that a test gives it, sound or not, by bulk, page and id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.loopback import Quiet, serving
from xeno_pipeline.extraction.streams import STREAMS, Stream
from xeno_pipeline.shopify.queries import API_VERSION

_STREAM_OF = {name: stream for stream in STREAMS for name in (stream.pages.page, stream.pages.by_id, stream.count)}


@dataclass
class PoisonStore:
    """What the store has.

    Args:
        url: its address.
        objects: its objects as pages show them, in the order in which they are paged.
        asked_for: what it shows by the gid that is asked for.
        lines: the result of the next bulk operation.
        roots: how many of them are objects.
    """

    url: str = ""
    objects: list[Any] = field(default_factory=list)
    asked_for: dict[str, Any] = field(default_factory=dict)
    lines: list[Any] = field(default_factory=list)
    roots: int = 0
    _query: str = ""

    def answer(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of an operation's answer."""
        if name in ("BulkOperationStart", "BulkOperationStatus"):
            self._query = variables.get("query", self._query)
            operation = self._operation()
            started = {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": []}}
            return started if name == "BulkOperationStart" else {"bulkOperation": operation}
        if name == "BulkOperationsRecent":
            return {"bulkOperations": {"nodes": []}}
        stream = _STREAM_OF[name]
        if name == stream.count:
            return {f"{stream.pages.connection}Count": {"count": len(self.objects), "precision": "EXACT"}}
        if name == stream.pages.by_id:
            return {"nodes": [self.asked_for.get(gid) for gid in variables["ids"]]}
        return {stream.pages.connection: self._page(stream, variables)}

    def content(self) -> bytes:
        """The file of the bulk operation."""
        return b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)

    def _page(self, stream: Stream, variables: dict[str, Any]) -> dict[str, Any]:
        start = int(variables["after"] or 0)
        end = start + variables["first"]
        info = {"hasNextPage": end < len(self.objects), "endCursor": str(end)}
        return {"nodes": self.objects[start:end], "pageInfo": info}

    def _operation(self) -> dict[str, Any]:
        return {
            "id": "gid://shopify/BulkOperation/1",
            "status": "COMPLETED",
            "errorCode": None,
            "createdAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "query": self._query,
            "objectCount": str(len(self.lines)),
            "rootObjectCount": str(self.roots),
            "fileSize": None,
            "url": f"{self.url}/bulk" if self.lines else None,
        }


@contextmanager
def poison_store() -> Iterator[PoisonStore]:
    """Serve a store, for the length of a `with`."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = store.answer(asked["operationName"], asked.get("variables") or {})
            cost = {"requestedQueryCost": 10, "actualQueryCost": 10}
            self._send(json.dumps({"data": data, "extensions": {"cost": cost}}).encode())

        def do_GET(self) -> None:
            self._send(store.content())

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("X-Shopify-API-Version", API_VERSION)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        store = PoisonStore(f"http://127.0.0.1:{server.server_port}")
        yield store
