"""Metrics at a port of their own, which no proxy needs to keep from the public."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from xeno_pipeline.web.listener import PortTakenError


@contextmanager
def serve_metrics(registry: CollectorRegistry, host: str, port: int | None) -> Iterator[None]:
    """Serve the metrics at `/metrics` for the length of a `with`.

    Args:
        port: nothing is served where it is None.

    Raises:
        PortTakenError: the port is in use, or not permitted.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise PortTakenError(
            f"Metrics cannot be served at {host}:{port} ({error.strerror}): choose another --metrics-port."
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
