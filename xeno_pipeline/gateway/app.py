"""The gateway's endpoints: webhooks, OAuth, health, figures."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import psycopg
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import newest_version, schema_version
from xeno_pipeline.database.safe_messages import error_kind, is_caused_by_values
from xeno_pipeline.errors import XenoError
from xeno_pipeline.gateway.inbox import Inbox, InboxUnavailableError, Outcome, UnstorableError
from xeno_pipeline.gateway.oauth import Connecting, OAuthPages
from xeno_pipeline.gateway.refusal import Refusal
from xeno_pipeline.gateway.signatures import Signatures
from xeno_pipeline.gateway.telemetry import Metrics
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.requests import Kept
from xeno_pipeline.shopify.privacy import PRIVACY_TOPICS, PrivacyDelivery, privacy_delivery_of
from xeno_pipeline.shopify.webhooks import SHOP_HEADER, SIGNATURE_HEADER, MalformedWebhookError, event_of, read_headers

log = logging.getLogger(__name__)

MOST_BYTES = 4 << 20
"""Of a delivery: a product of a hundred variants is a tenth of it."""

_SECONDS_TO_SEND = 10.0
_SECONDS_TO_KEEP = 4.0
"""Shopify gives up after five."""

_SECONDS_UNTIL_RETRY = "10"


class Gateway:
    """The endpoints over one database.

    Args:
        database: where the inbox is.
        signatures: tells which deliveries are signed.
        connecting: what stores are connected with; None where there is no app for that.
    """

    def __init__(self, database: Database, signatures: Signatures, connecting: Connecting | None) -> None:
        self._database = database
        self._signatures = signatures
        self._pages = OAuthPages(database, connecting).routes() if connecting else []
        self._inbox = Inbox(database)
        self._metrics = Metrics()

    def app(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with self._inbox:
                yield

        app = Starlette(
            routes=[
                Route("/webhooks/shopify", self.webhook, methods=["POST"]),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                *self._pages,
            ],
            lifespan=lifespan,
        )
        app.router.redirect_slashes = False  # it would send on to whatever the Host header says
        return app

    async def webhook(self, request: Request) -> Response:
        """Take a delivery: 200 means that it is kept, or that there is nothing to keep."""
        started = time.monotonic()
        told: dict[str, object] = {"request_id": uuid.uuid4().hex}
        try:
            outcome = await self._take(request, told)
            response = PlainTextResponse("ok")
        except Refusal as refusal:
            outcome = refusal.outcome
            response = PlainTextResponse(str(refusal), refusal.status)
            if isinstance(refusal.__cause__, UnstorableError):
                told["error"] = str(refusal.__cause__)
            if refusal.status == 503:
                response.headers["Retry-After"] = _SECONDS_UNTIL_RETRY
        seconds = time.monotonic() - started
        self._metrics.webhooks.labels(outcome).inc()
        self._metrics.seconds.observe(seconds)
        told |= {"outcome": outcome, "status": response.status_code, "milliseconds": round(1000 * seconds, 1)}
        log.info("webhook", extra=told)
        response.headers["X-Request-Id"] = str(told["request_id"])
        return response

    async def _take(self, request: Request, told: dict[str, object]) -> str:
        body = await read_body(request)
        headers = request.headers
        await self._signatures.check(body, headers.get(SIGNATURE_HEADER), headers.get(SHOP_HEADER, ""))
        try:
            delivery = read_headers(request.headers)
            told |= {"topic": delivery.topic, "shop": delivery.shop_domain, "webhook_id": delivery.webhook_id}
            if delivery.topic in PRIVACY_TOPICS:
                return await self._kept(asyncio.to_thread(self._keep_request, privacy_delivery_of(delivery, body)))
            event = event_of(delivery, body)
        except MalformedWebhookError as error:
            raise Refusal(400, "malformed", str(error)) from None
        return "nothing_to_do" if event is None else await self._kept(self._inbox.put(event))

    async def _kept(self, keeping: Awaitable[Outcome | Kept]) -> str:
        """What became of a delivery, once that is committed.

        An unknown shop is answered like any other: an error would make Shopify drop the subscription. What cannot be
        kept for what is in it is an error nevertheless. The cause may be ours, and mended while Shopify repeats it for
        four hours; were a subscription dropped for it, it is put back within the hour, and a sync finds what changed.

        Raises:
            Refusal: the database did not take it.
        """
        try:
            async with asyncio.timeout(_SECONDS_TO_KEEP):
                return (await keeping).value
        except UnstorableError as error:
            raise Refusal(422, "unstorable", "The database refuses what this delivery holds.") from error
        except (InboxUnavailableError, TimeoutError, XenoError, psycopg.Error):
            raise Refusal(503, "unavailable", "The database is away.") from None

    def _keep_request(self, request: PrivacyDelivery) -> Kept:
        try:
            with self._database.connect() as connection:
                return requests.keep(connection, request)
        except Exception as error:
            if not is_caused_by_values(error):
                raise
            raise UnstorableError(error_kind(error)) from None

    async def healthz(self, _request: Request) -> Response:
        """Whether this process is alive."""
        return PlainTextResponse("ok")

    async def readyz(self, _request: Request) -> Response:
        """Whether deliveries can be kept: the database is there, and migrated."""
        try:
            version = await run_in_threadpool(schema_version, self._database)
        except (XenoError, psycopg.Error):
            return PlainTextResponse("The database is away.", 503)
        if version != newest_version():
            told = f"The database is at schema version {version or 'none'}, this gateway is made for {newest_version()}"
            remedy = "run `xeno db migrate`, and restart what is older than the database."
            return PlainTextResponse(f"{told}: {remedy}", 503)
        return PlainTextResponse("ok")

    async def metrics(self, _request: Request) -> Response:
        """The figures, for Prometheus."""
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4")


async def read_body(request: Request) -> bytes:
    """The bytes of a request, no more of them than may be.

    Raises:
        Refusal: there are more, or they do not come.
    """
    too_large = Refusal(413, "too_large", f"A delivery has {MOST_BYTES:,} bytes at most.")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > MOST_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS_TO_SEND):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise too_large
    except (TimeoutError, ClientDisconnect):
        raise Refusal(408, "not_sent", "The delivery did not come to its end.") from None
    return bytes(body)
