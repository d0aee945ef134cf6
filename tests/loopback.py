"""Loopback, where everything that tests start listens."""

from __future__ import annotations

import socket

import requests


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
