"""Servers whose handler only verifies the signature: what keeping a delivery is measured against.

    python -m tests.bench.verifier gateway|bare HOME SECRET

`gateway` is the gateway itself, its metrics and log included, with nothing but that handler replaced; `bare` is no more
than the web server, Starlette and the signature.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.gateway.app import Gateway, read_body
from xeno_pipeline.gateway.signatures import Signatures
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.webhooks import SHOP_HEADER, SIGNATURE_HEADER, is_signed
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.web.listener import listen


class _VerifyingGateway(Gateway):
    async def _receive(self, request: Request, log_fields: dict[str, object]) -> str:
        body, headers = await read_body(request), request.headers
        await self._signatures.check(body, headers.get(SIGNATURE_HEADER), headers.get(SHOP_HEADER, ""))
        return "verified"


def gateway(settings: Settings, secret: str) -> Starlette:
    """The gateway, which keeps nothing."""
    database = Database(EmbeddedServer(settings.home).url)
    return _VerifyingGateway(database, Signatures(database, [secret], partial(load_key_ring, settings)), None).app()


def bare(_: Settings, secret: str) -> Starlette:
    """One route, and nothing that the signature does not need."""

    async def webhook(request: Request) -> Response:
        is_right = is_signed(await request.body(), request.headers.get(SIGNATURE_HEADER), [secret])
        return PlainTextResponse("ok" if is_right else "no", 200 if is_right else 401)

    return Starlette(routes=[Route("/webhooks/shopify", webhook, methods=["POST"])])


def main(kind: str, home: str, secret: str) -> None:
    """Serve on a free port, which the first line of the log tells, until SIGTERM."""
    app = {"gateway": gateway, "bare": bare}[kind](Settings(home=Path(home)), secret)
    listen(app, "127.0.0.1", 0, name="The verifier", setting="nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
