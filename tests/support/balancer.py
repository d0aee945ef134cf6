"""A balancer before gateways, as an ingress is: requests in turn, and 502 where a gateway does not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import requests

from tests.support.loopback import Quiet, serving


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """A balancer before servers, for the length of a `with`; yields its URL.

    It repeats nothing: whether a server that died had stored what it was sent, no balancer can know.
    """
    turns = count()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            url = urls[next(turns) % len(urls)]
            try:
                answer = requests.post(f"{url}{self.path}", body, headers=headers, timeout=10)
                status, content = answer.status_code, answer.content
            except requests.RequestException:
                status, content = 502, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"
