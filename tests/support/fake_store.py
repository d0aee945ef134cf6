"""A store that tells of itself whatever a test wants: facts that no sandbox store would have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.loopback import Quiet, serving

ALL_SCOPES = ("read_all_orders", "read_customers", "read_orders", "read_products")


@contextmanager
def fake_store(
    handle: str,
    *,
    api_version: str = "2026-10",
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    body: bytes | None = None,
    **facts: Any,
) -> Iterator[str]:
    """Serve the answer to the query `Shop`, for the length of a `with`.

    Args:
        handle: what it says its handle is.
        api_version: what version of the API it says it answers with.
        headers: further headers of the answer.
        status: the answer's status.
        body: the answer, instead of the facts.
        facts: fields of the shop that are to be other than usual.

    Yields:
        Its API URL.
    """
    shop = {
        "id": f"gid://shopify/Shop/{sum(handle.encode())}",
        "name": handle,
        "myshopifyDomain": f"{handle}.myshopify.com",
        "currencyCode": "EUR",
        "ianaTimezone": "Europe/Berlin",
        "taxesIncluded": True,
        "createdAt": "2020-01-01T00:00:00Z",
        "plan": {"publicDisplayName": "Plus", "partnerDevelopment": False, "shopifyPlus": True},
    }
    scopes = {"accessScopes": [{"handle": scope} for scope in ALL_SCOPES]}
    answer = json.dumps({"data": {"shop": {**shop, **facts}, "currentAppInstallation": scopes}}).encode()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("X-Shopify-API-Version", api_version)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer if body is None else body)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
