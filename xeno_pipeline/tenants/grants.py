"""A tenant's access token: its kind, and its renewal when it expires."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.shopify.errors import OverloadedError, UnreachableError
from xeno_pipeline.shopify.oauth import App, GrantRefusedError, IssuedToken, refresh, request_token
from xeno_pipeline.shopify.shop_domains import SHOPIFY_URLS, follow_redirects
from xeno_pipeline.tenants.apps import load_app
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, Purpose
from xeno_pipeline.tenants.registry import Tenant

_MARGIN = timedelta(minutes=5)
"""How long before its expiry a token is renewed."""

_LOCK_KEY = "hashtextextended('renew token ' || %s, 0)"
_LOCK = f"select pg_advisory_lock({_LOCK_KEY})"
_LOCK_TIMEOUT = "set lock_timeout = '100s'"
"""Longer than a renewal takes to time out."""


class GrantKind(StrEnum):
    """How a token was issued, and how the next one will be."""

    PERMANENT = "permanent"
    EXPIRING = "expiring"
    CLIENT_CREDENTIALS = "client_credentials"


@dataclass(frozen=True)
class Grant:
    """A tenant's access token.

    Args:
        expires_at: None: never.
        refresh_token: of an expiring token: obtains the next pair.
    """

    kind: GrantKind
    token: str = field(repr=False)
    expires_at: datetime | None = None
    refresh_token: str | None = field(default=None, repr=False)

    @classmethod
    def permanent(cls, token: str) -> Grant:
        """Of a token that never expires."""
        return cls(GrantKind.PERMANENT, token)

    @classmethod
    def authorized(cls, issued: IssuedToken) -> Grant:
        """Of a token issued for an authorization code, or by refreshing such a grant."""
        kind = GrantKind.PERMANENT if issued.refresh_token is None else GrantKind.EXPIRING
        return cls(kind, issued.token, issued.expires_at, issued.refresh_token)

    @classmethod
    def of_own_app(cls, issued: IssuedToken) -> Grant:
        """Of a token issued for client credentials."""
        return cls(GrantKind.CLIENT_CREDENTIALS, issued.token, issued.expires_at)

    def lasts(self, length: timedelta) -> bool:
        """Whether the token is still valid after that time."""
        return self.expires_at is None or datetime.now(UTC) + length < self.expires_at


def store_grant(connection: Connection, ring: KeyRing, tenant_id: str, grant: Grant) -> None:
    """Store a tenant's grant, replacing the old one; a pair of tokens is written atomically."""
    key_id, token = ring.seal(tenant_id, grant.token)
    refresh_token = None
    if grant.refresh_token is not None:
        _, refresh_token = ring.seal(tenant_id, grant.refresh_token, Purpose.REFRESH_TOKEN)
    connection.execute(
        """
        insert into ops.tenant_credentials (tenant_id, kind, key_id, sealed_token, expires_at, sealed_refresh_token)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (tenant_id) do update
        set kind = excluded.kind, key_id = excluded.key_id, sealed_token = excluded.sealed_token,
            expires_at = excluded.expires_at, sealed_refresh_token = excluded.sealed_refresh_token, updated_at = now()
        """,
        [tenant_id, grant.kind, key_id, token, grant.expires_at, refresh_token],
    )


def has_grant(connection: Connection, tenant_id: str) -> bool:
    """Whether a token is stored for the tenant."""
    query = "select from ops.tenant_credentials where tenant_id = %s"
    return connection.execute(query, [tenant_id]).fetchone() is not None


def load_grant(connection: Connection, ring: KeyRing, tenant_id: str, *, for_update: bool = False) -> Grant:
    """A tenant's grant.

    Args:
        for_update: whether to lock it until the transaction ends.

    Raises:
        CredentialError: there is none, or it cannot be decrypted.
    """
    query = """
        select kind, key_id, sealed_token, expires_at, sealed_refresh_token
        from ops.tenant_credentials where tenant_id = %s
        """
    row = connection.execute(query + "for update" * for_update, [tenant_id]).fetchone()
    if row is None:
        raise CredentialError(f"{tenant_id}: no token is stored; set one with `xeno tenant set-token {tenant_id}`.")
    kind, key_id, token, expires_at, sealed_refresh = row
    refresh_token = None
    if sealed_refresh is not None:
        refresh_token = ring.open(tenant_id, key_id, sealed_refresh, Purpose.REFRESH_TOKEN)
    return Grant(GrantKind(kind), ring.open(tenant_id, key_id, token), expires_at, refresh_token)


def wait_for_renewal(connection: Connection, tenant_id: str) -> None:
    """Wait until no process renews the tenant's token, and keep others from it until the transaction ends."""
    connection.execute(f"select pg_advisory_xact_lock({_LOCK_KEY})", [tenant_id])


class RenewingToken:
    """A tenant's access token, renewed when it expires, by one process at a time.

    The process that renews it holds a session-level advisory lock, outside any transaction, during the request to
    Shopify: only processes that would request the same have to wait, and the lock ends with its process. The new pair
    is committed before it is used, because Shopify accepts the old refresh token again only until then.

    Args:
        app: the installation's app, which refreshes expiring tokens.
        urls: the template of stores' URLs, see `store_url`.

    Raises:
        CredentialError: the tenant has no readable grant.
    """

    def __init__(
        self, database: Database, ring: KeyRing, tenant: Tenant, app: App | None, urls: str = SHOPIFY_URLS
    ) -> None:
        self._database = database
        self._ring = ring
        self._tenant = tenant
        self._app = app
        self._urls = urls
        self._lock = threading.Lock()
        with database.connect() as connection:
            self._grant = load_grant(connection, ring, tenant.tenant_id)

    def current(self) -> str:
        """The token to send now.

        Raises:
            CredentialError, ShopifyError: it has expired and cannot be renewed.
        """
        with self._lock:
            if not self._grant.lasts(_MARGIN):
                try:
                    self._renew()
                except (UnreachableError, OverloadedError):
                    if not self._grant.lasts(timedelta()):
                        raise
            return self._grant.token

    def replace_rejected(self, rejected: str) -> str | None:
        """A token in place of the one that the store rejected; None where there is no other.

        Raises:
            CredentialError, ShopifyError: it could not be renewed.
        """
        with self._lock:
            if self._grant.token == rejected:
                self._renew()
            return self._grant.token if self._grant.token != rejected else None

    def _renew(self) -> None:
        """Load the stored grant, after renewing it unless another process has."""
        tenant_id = self._tenant.tenant_id
        with self._database.connect(autocommit=True) as connection:
            connection.execute(_LOCK_TIMEOUT)
            try:
                connection.execute(_LOCK, [tenant_id])
            except psycopg.errors.LockNotAvailable:
                problem = "is being renewed by another process, which takes too long: try again later."
                raise OverloadedError(tenant_id, "the access token", problem) from None
            self._check_not_moving(connection)
            stored = load_grant(connection, self._ring, tenant_id)
            if stored.token == self._grant.token and stored.kind is not GrantKind.PERMANENT:
                stored = self._replace(connection, stored)
        self._grant = stored

    def _check_not_moving(self, connection: Connection) -> None:
        """See that the token is still this installation's: a renewal would invalidate the one that was exported."""
        tenant_id = self._tenant.tenant_id
        query = "select from ops.tenants where tenant_id = %s and status = 'moving'"
        if connection.execute(query, [tenant_id]).fetchone() is not None:
            raise CredentialError(
                f"{tenant_id}: its token was exported with it, and is not renewed here; "
                f"`xeno tenant resume {tenant_id}` takes the tenant back."
            )

    def _replace(self, connection: Connection, stored: Grant) -> Grant:
        """Request the next token, and store it unless another grant was stored in the meantime."""
        tenant_id = self._tenant.tenant_id
        issued = self._next(connection, stored)
        with connection.transaction():
            current = load_grant(connection, self._ring, tenant_id, for_update=True)
            if current.token != stored.token:
                return current
            store_grant(connection, self._ring, tenant_id, issued)
        return issued

    def _next(self, connection: Connection, stored: Grant) -> Grant:
        """Request the next token from the store, following redirects of a renamed store.

        A refresh token is valid for its own shop only. The new token is not used before the shop's id is verified, as
        the old address still redirects by then (`domains.Follower`).
        """
        return follow_redirects(self._tenant.api_url, self._urls, lambda url: self._issued(connection, stored, url))

    def _issued(self, connection: Connection, stored: Grant, url: str) -> Grant:
        tenant_id = self._tenant.tenant_id
        if stored.refresh_token is None:
            return Grant.of_own_app(request_token(tenant_id, url, load_app(connection, self._ring, tenant_id)))
        if self._app is None:
            raise CredentialError(
                f"{tenant_id}: its token has expired; "
                "set XENO_SHOPIFY_API_KEY and XENO_SHOPIFY_API_SECRET to refresh it."
            )
        try:
            return Grant.authorized(refresh(tenant_id, url, self._app, stored.refresh_token))
        except GrantRefusedError as error:
            problem = "was refused a new token: the store has uninstalled the app, or was not synced for 90 days. "
            remedy = f"Connect it again at the gateway's /auth/install?shop={self._tenant.shop_domain}."
            raise GrantRefusedError(tenant_id, "the access token", problem + remedy) from error
