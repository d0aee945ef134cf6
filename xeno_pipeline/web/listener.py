"""A web process: an application at a port, until it is ended."""

from __future__ import annotations

import gc
import logging
import socket

import uvicorn
from starlette.types import ASGIApp

from xeno_pipeline.errors import XenoError
from xeno_pipeline.web.json_log import log_json

log = logging.getLogger(__name__)

_MAX_CONCURRENT_REQUESTS = 256
"""Further ones get a 503 unread, which bounds memory."""


class PortTakenError(XenoError):
    """A port is in use."""


def listen(app: ASGIApp, host: str, port: int, *, name: str, setting: str) -> None:
    """Serve an application until SIGTERM or SIGINT; the log is JSON lines on standard output.

    Args:
        port: 0 takes a free one, which is in the first line of the log.
        name: what an error calls the process.
        setting: where an error says that the port is set.

    Raises:
        PortTakenError: the port is in use, or not permitted.
    """
    try:
        listener = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise PortTakenError(
            f"{name} cannot listen at {host}:{port} ({error.strerror}): choose another --port, or set {setting}."
        ) from None
    log_json()
    with listener:
        log.info("listening", extra={"host": host, "port": listener.getsockname()[1]})
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            limit_concurrency=_MAX_CONCURRENT_REQUESTS,
            timeout_graceful_shutdown=5,
        )
        # Or each collection of what requests leave looks at all that was imported, too.
        gc.collect()
        gc.freeze()
        uvicorn.Server(config).run(sockets=[listener])
