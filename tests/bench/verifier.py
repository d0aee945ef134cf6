"""A server like the gateway whose handler only verifies the signature: what keeping a delivery is measured against.

python -m tests.bench.verifier SECRET
"""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from xeno_pipeline.gateway.telemetry import log_json
from xeno_pipeline.shopify.webhooks import SIGNATURE_HEADER, is_signed


def serve(secret: str) -> None:
    """Serve on a free port, which the first line of the log tells, until SIGTERM."""

    async def webhook(request: Request) -> Response:
        is_right = is_signed(await request.body(), request.headers.get(SIGNATURE_HEADER), [secret])
        return PlainTextResponse("ok" if is_right else "no", 200 if is_right else 401)

    log_json()
    app = Starlette(routes=[Route("/webhooks/shopify", webhook, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        logging.getLogger(__name__).info("listening", extra={"port": listener.getsockname()[1]})
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1])
