"""Whose signature a delivery bears: the installation's app's, or that of the app that is the tenant's own."""

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

_SECONDS_BETWEEN_LOOKS = 5.0
"""At the tenants' own secrets: whatever comes unsigned, the database is asked no more often."""

_SECONDS_TO_LOOK = 2.0


class Signatures:
    """Tells signed deliveries from others.

    Args:
        database: where the tenants' own secrets are.
        secrets: the installation's, and while it is being rotated the one before.
        load_ring: gives the keys that the tenants' own are sealed with, which may be rotated meanwhile.
    """

    def __init__(self, database: Database, secrets: Sequence[str], load_ring: Callable[[], KeyRing]) -> None:
        self._database = database
        self._secrets = secrets
        self._load_ring = load_ring
        self._own: Mapping[str, str] | None = None
        self._looked_at = -_SECONDS_BETWEEN_LOOKS
        self._looking = asyncio.Lock()

    def has_own(self) -> bool:
        """Whether any tenant has a secret of its own, or none can be told of, the database being away."""
        try:
            return bool(self._look())
        except (XenoError, psycopg.Error):
            return True

    async def check(self, body: bytes, signature: str | None, shop_domain: str) -> None:
        """Do nothing where a delivery is signed: for any shop by the installation, for its own shop by a tenant.

        Raises:
            Refusal: it is not; or whether it is cannot be told, the database being away.
        """
        if is_signed(body, signature, self._secrets):
            return
        own = await self._own_secrets() if signature else {}
        if own is None:
            raise Refusal(503, "unavailable", "The database is away.")
        secret = own.get(shop_domain.lower())
        if secret is None or not is_signed(body, signature, [secret]):
            raise Refusal(401, "bad_signature", "The signature is missing or wrong.")

    async def _own_secrets(self) -> Mapping[str, str] | None:
        """The tenants' own secrets by shop; None where they were never seen."""
        async with self._looking:
            if time.monotonic() >= self._looked_at + _SECONDS_BETWEEN_LOOKS:
                try:
                    async with asyncio.timeout(_SECONDS_TO_LOOK):
                        self._own = await asyncio.to_thread(self._look)
                except (TimeoutError, XenoError, psycopg.Error) as error:
                    log.warning("the tenants' own secrets could not be read", extra={"error": type(error).__name__})
                self._looked_at = time.monotonic()
            return self._own

    def _look(self) -> Mapping[str, str]:
        with self._database.connect() as connection:
            return own_secrets(connection, self._load_ring())
