"""The gateway's endpoints: webhooks, OAuth, health and metrics."""

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
from xeno_pipeline.database.migrate import is_known, newest_version, schema_version
from xeno_pipeline.database.safe_messages import error_kind, is_caused_by_values
from xeno_pipeline.errors import XenoError
from xeno_pipeline.gateway.inbox import (
    STORE_TIMEOUT_SECONDS,
    Inbox,
    InboxUnavailableError,
    Outcome,
    UnstorableError,
    can_store,
)
from xeno_pipeline.gateway.oauth import OAuthConfig, OAuthPages
from xeno_pipeline.gateway.refusal import Refusal
from xeno_pipeline.gateway.signatures import Signatures
from xeno_pipeline.gateway.telemetry import Metrics
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.requests import StoreResult
from xeno_pipeline.shopify.privacy import PRIVACY_TOPICS, PrivacyDelivery, privacy_delivery_of
from xeno_pipeline.shopify.webhooks import SHOP_HEADER, SIGNATURE_HEADER, MalformedWebhookError, event_of, read_headers

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 << 20
"""Ten times the size of a product with a hundred variants."""

_BODY_TIMEOUT_SECONDS = 10.0

_RETRY_AFTER_SECONDS = "10"


class Gateway:
    """The endpoints.

    Args:
        database: where deliveries are stored; it need not keep a session.
        oauth: None where there is no app to connect stores with.
        connecting: where stores are connected, if elsewhere than in `database`; it keeps sessions.
    """

    def __init__(
        self, database: Database, signatures: Signatures, oauth: OAuthConfig | None, connecting: Database | None = None
    ) -> None:
        self._database = database
        self._signatures = signatures
        self._pages = OAuthPages(connecting or database, oauth).routes() if oauth else []
        self._inbox = Inbox(database)
        self.metrics = Metrics()

    def app(self, *, shows_metrics: bool = True) -> Starlette:
        """The ASGI application.

        Args:
            shows_metrics: at /metrics; false where they have a port of their own.
        """

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with self._inbox:
                yield

        app = Starlette(
            routes=[
                Route("/webhooks/shopify", self.webhook, methods=["POST"]),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                *([Route("/metrics", self.show_metrics)] if shows_metrics else []),
                *self._pages,
            ],
            lifespan=lifespan,
        )
        app.router.redirect_slashes = False  # it would redirect to the host of the Host header
        return app

    async def webhook(self, request: Request) -> Response:
        """Receive a delivery; 200 means that it is stored, or that there is nothing to store."""
        started = time.monotonic()
        log_fields: dict[str, object] = {"request_id": uuid.uuid4().hex}
        try:
            outcome = await self._receive(request, log_fields)
            response = PlainTextResponse("ok")
        except Refusal as refusal:
            outcome = refusal.outcome
            response = PlainTextResponse(str(refusal), refusal.status)
            if isinstance(refusal.__cause__, UnstorableError):
                log_fields["error"] = str(refusal.__cause__)
            if refusal.status == 503:
                response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        seconds = time.monotonic() - started
        self.metrics.webhooks.labels(outcome).inc()
        self.metrics.seconds.observe(seconds)
        log_fields |= {"outcome": outcome, "status": response.status_code, "milliseconds": round(1000 * seconds, 1)}
        log.info("webhook", extra=log_fields)
        response.headers["X-Request-Id"] = str(log_fields["request_id"])
        return response

    async def _receive(self, request: Request, log_fields: dict[str, object]) -> str:
        body = await read_body(request)
        headers = request.headers
        await self._signatures.check(body, headers.get(SIGNATURE_HEADER), headers.get(SHOP_HEADER, ""))
        try:
            delivery = read_headers(request.headers)
            log_fields |= {"topic": delivery.topic, "shop": delivery.shop_domain, "webhook_id": delivery.webhook_id}
            if delivery.topic in PRIVACY_TOPICS:
                return await self._await_stored(self._store_request(privacy_delivery_of(delivery, body)))
            event = event_of(delivery, body)
        except MalformedWebhookError as error:
            raise Refusal(400, "malformed", str(error)) from None
        return "nothing_to_do" if event is None else await self._await_stored(self._inbox.put(event))

    async def _await_stored(self, storing: Awaitable[Outcome | StoreResult]) -> str:
        """Wait until a delivery is committed; returns its outcome.

        A delivery of an unknown shop succeeds too: an error would make Shopify drop the subscription. One whose content
        cannot be stored is an error nevertheless: the cause may be ours, and fixed while Shopify retries it for four
        hours. If the subscription is dropped, it is restored within the hour, and a sync loads the changes.

        Raises:
            Refusal: the database did not store it.
        """
        try:
            return (await storing).value
        except UnstorableError as error:
            raise Refusal(422, "unstorable", "The database rejects the content of this delivery.") from error
        except (InboxUnavailableError, TimeoutError, XenoError, psycopg.Error):
            raise Refusal(503, "unavailable", "The database is not available.") from None

    async def _store_request(self, request: PrivacyDelivery) -> StoreResult:
        async with asyncio.timeout(STORE_TIMEOUT_SECONDS):
            return await asyncio.to_thread(self._write_request, request)

    def _write_request(self, request: PrivacyDelivery) -> StoreResult:
        try:
            with self._database.connect() as connection:
                return requests.store(connection, request)
        except Exception as error:
            if not is_caused_by_values(error):
                raise
            raise UnstorableError(error_kind(error)) from None

    async def healthz(self, _request: Request) -> Response:
        """Whether this process is alive."""
        return PlainTextResponse("ok")

    async def readyz(self, _request: Request) -> Response:
        """Whether deliveries can be stored: the database is available and migrated.

        While a new release is rolled out, the gateways of the old one meet a database that is ahead of them. They stay
        ready as long as they can store, or there would be none for that time.
        """
        try:
            version = await run_in_threadpool(schema_version, self._database)
            is_ready = version == newest_version() or (
                not is_known(version) and await run_in_threadpool(can_store, self._database)
            )
        except (XenoError, psycopg.Error):
            return PlainTextResponse("The database is not available.", 503)
        if not is_ready:
            problem = f"The database is at schema version {version or 'none'}, this gateway needs {newest_version()}"
            remedy = "run `xeno db migrate`, or upgrade and restart the gateway."
            return PlainTextResponse(f"{problem}: {remedy}", 503)
        return PlainTextResponse("ok")

    async def show_metrics(self, _request: Request) -> Response:
        """The metrics, for Prometheus."""
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4")


async def read_body(request: Request) -> bytes:
    """Read the body of a request.

    Raises:
        Refusal: it is too large, or incomplete.
    """
    too_large = Refusal(413, "too_large", f"A delivery may have at most {MAX_BODY_BYTES:,} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except (TimeoutError, ClientDisconnect):
        raise Refusal(408, "not_sent", "The delivery was not sent completely.") from None
    return bytes(body)
