"""Verifying the signatures of webhooks: by the installation's app, or by the tenant's own app."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import psycopg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.gateway.refusal import Refusal
from xeno_pipeline.shopify.webhooks import is_signed
from xeno_pipeline.tenants.apps import own_secrets
from xeno_pipeline.tenants.credentials import KeyRing

log = logging.getLogger(__name__)

_RELOAD_SECONDS = 5.0
"""The tenants' own secrets are queried no more often, however many unsigned deliveries come."""

_LOAD_TIMEOUT_SECONDS = 2.0


class Signatures:
    """Verifies signatures.

    Args:
        secrets: the installation's, and the previous one during a rotation.
        load_ring: loads the current keys, which may be rotated at any time.
    """

    def __init__(self, database: Database, secrets: Sequence[str], load_ring: Callable[[], KeyRing]) -> None:
        self._database = database
        self._secrets = secrets
        self._load_ring = load_ring
        self._own: Mapping[str, str] | None = None
        self._loaded_at = -_RELOAD_SECONDS
        self._lock = asyncio.Lock()

    def has_own(self) -> bool:
        """Whether a tenant has a secret of its own; true where the database is not available."""
        try:
            return bool(self._load())
        except (XenoError, psycopg.Error):
            return True

    async def check(self, body: bytes, signature: str | None, shop_domain: str) -> None:
        """Check that a delivery is signed by the installation's app, or by the own app of the shop that it names.

        Raises:
            Refusal: it is not, or the database is not available to verify it.
        """
        if is_signed(body, signature, self._secrets):
            return
        own = await self._own_secrets() if signature else {}
        if own is None:
            raise Refusal(503, "unavailable", "The database is not available.")
        secret = own.get(shop_domain.lower())
        if secret is None or not is_signed(body, signature, [secret]):
            raise Refusal(401, "bad_signature", "The signature is missing or wrong.")

    async def _own_secrets(self) -> Mapping[str, str] | None:
        """The tenants' own secrets by shop; None where they could not be loaded yet."""
        async with self._lock:
            if time.monotonic() >= self._loaded_at + _RELOAD_SECONDS:
                try:
                    async with asyncio.timeout(_LOAD_TIMEOUT_SECONDS):
                        self._own = await asyncio.to_thread(self._load)
                except (TimeoutError, XenoError, psycopg.Error) as error:
                    log.warning("the tenants' own secrets could not be read", extra={"error": type(error).__name__})
                self._loaded_at = time.monotonic()
            return self._own

    def _load(self) -> Mapping[str, str]:
        with self._database.connect() as connection:
            return own_secrets(connection, self._load_ring())
