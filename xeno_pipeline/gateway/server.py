"""The gateway as a process."""

from __future__ import annotations

import logging
import socket
from functools import partial

import uvicorn

from xeno_pipeline.database.connection import Database, DatabaseUnavailableError, database_url
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.gateway.app import Gateway
from xeno_pipeline.gateway.oauth import connecting_by
from xeno_pipeline.gateway.signatures import Signatures
from xeno_pipeline.gateway.telemetry import log_json
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring

log = logging.getLogger(__name__)

_REQUESTS_AT_ONCE = 256
"""Further ones are answered 503 unread, so that memory is bounded whatever comes."""


class PortTakenError(XenoError):
    """Something else listens where the gateway is to be."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: where the database is, and the app's secrets.
        host: the address to listen on.
        port: the port; 0 takes a free one, which the first line of the log tells.

    Raises:
        UsageError: there is no secret to verify webhooks with, or OAuth lacks a setting.
        PortTakenError: the port is in use, or not to be had.
    """
    database, secrets = _database(settings), app_secrets(settings)
    connecting = connecting_by(settings, secrets)
    signatures = Signatures(database, secrets, partial(load_key_ring, settings))
    if not secrets and not signatures.has_own():
        raise UsageError("XENO_SHOPIFY_API_SECRET is not set: without the app's secret no webhook can be verified.")
    app = Gateway(database, signatures, connecting).app()
    try:
        listener = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise PortTakenError(
            f"The gateway cannot listen at {host}:{port} ({error.strerror}): choose another --port, or set "
            "XENO_GATEWAY_PORT."
        ) from None
    log_json()
    with listener:
        log.info("listening", extra={"host": host, "port": listener.getsockname()[1]})
        config = uvicorn.Config(
            app, log_config=None, access_log=False, limit_concurrency=_REQUESTS_AT_ONCE, timeout_graceful_shutdown=5
        )
        uvicorn.Server(config).run(sockets=[listener])


def app_secrets(settings: Settings) -> list[str]:
    """The secrets that webhooks of any shop may be signed with."""
    given = [settings.shopify_api_secret, settings.shopify_api_secret_previous]
    return [secret.get_secret_value() for secret in given if secret is not None]


def _database(settings: Settings) -> Database:
    """The database; where it is away, the place where it will be again: deliveries are answered 503 until then."""
    try:
        return open_migrated(settings)
    except DatabaseUnavailableError:
        return Database(database_url(settings))
