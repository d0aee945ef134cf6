"""The Shopify apps that stores are connected through: the installation's, and tenants' own."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.oauth import App
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, Purpose

log = logging.getLogger(__name__)


def installation_app(settings: Settings) -> App | None:
    """The app of XENO_SHOPIFY_API_KEY and XENO_SHOPIFY_API_SECRET; None where they are not both set."""
    if settings.shopify_api_key is None or settings.shopify_api_secret is None:
        return None
    return App(settings.shopify_api_key, settings.shopify_api_secret.get_secret_value())


def store_app(connection: Connection, ring: KeyRing, tenant_id: str, client_id: str | None, secret: str) -> None:
    """Store the secret of a tenant's own app, replacing the old one; without a client id, the stored one is kept."""
    key_id, sealed = ring.seal(tenant_id, secret, Purpose.APP_SECRET)
    connection.execute(
        """
        insert into ops.tenant_apps (tenant_id, client_id, key_id, sealed_secret) values (%s, %s, %s, %s)
        on conflict (tenant_id) do update
        set client_id = coalesce(excluded.client_id, tenant_apps.client_id), key_id = excluded.key_id,
            sealed_secret = excluded.sealed_secret, updated_at = now()
        """,
        [tenant_id, client_id, key_id, sealed],
    )


def load_app(connection: Connection, ring: KeyRing, tenant_id: str) -> App:
    """A tenant's own app.

    Raises:
        CredentialError: it has none with a client id, or its secret cannot be decrypted.
    """
    row = connection.execute(
        "select client_id, key_id, sealed_secret from ops.tenant_apps where tenant_id = %s and client_id is not null",
        [tenant_id],
    ).fetchone()
    if row is None:
        raise CredentialError(
            f"{tenant_id}: no app of its own is registered; "
            f"register one with `xeno tenant set-app-secret {tenant_id} --client-id ID`."
        )
    return App(row[0], ring.open(tenant_id, row[1], row[2], Purpose.APP_SECRET))


def own_app_client_id(connection: Connection, tenant_id: str) -> str | None:
    """The client id of a tenant's own app, if that app issues the tenant's tokens."""
    row = connection.execute(
        """
        select client_id from ops.tenant_apps join ops.tenant_credentials using (tenant_id)
        where tenant_id = %s and kind = 'client_credentials'
        """,
        [tenant_id],
    ).fetchone()
    return row[0] if row else None


def own_secrets(connection: Connection, ring: KeyRing) -> Mapping[str, str]:
    """The secrets of tenants' own apps, by the current and former domains of the shop whose webhooks they sign.

    One that cannot be decrypted is logged and left out, so that it affects no other tenant.
    """
    rows = connection.execute(
        """
        select array_agg(domain), tenant_id, key_id, sealed_secret from ops.tenant_apps
        join ops.known_domains using (tenant_id) group by tenant_id
        """
    )
    opened: dict[str, str] = {}
    for domains, tenant_id, key_id, sealed in rows:
        try:
            secret = ring.open(tenant_id, key_id, sealed, Purpose.APP_SECRET)
            opened |= dict.fromkeys(domains, secret)
        except CredentialError as error:
            log.warning("%s", error)
    return opened
