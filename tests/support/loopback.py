"""Loopback, where everything that tests start listens."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import requests

Server = TypeVar("Server", bound=socketserver.BaseServer)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether what is there says that all is well."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


class Quiet:
    """A base of request handlers that log no requests."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """A server that answers for the length of a `with`, and ends with it, however that ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
