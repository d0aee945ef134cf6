"""Doing what a privacy request asks for; all but bringing the marts up to date, which is one transform for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.tenant_lock import lock_for_removal
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.privacy import exports, requests
from xeno_pipeline.privacy.requests import PrivacyRequest
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.load import lock
from xeno_pipeline.raw.redaction import redact_customer
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import StoreUnavailableError, TokenRejectedError
from xeno_pipeline.shopify.oauth import GrantRefusedError
from xeno_pipeline.shopify.privacy import CUSTOMER_REDACT, DATA_REQUEST
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.tenants import audit, registry
from xeno_pipeline.tenants.apart import Failures
from xeno_pipeline.tenants.offboarding import remove_tenant
from xeno_pipeline.tenants.registry import Tenant, UnknownTenantError

NOTHING_HELD = "nothing held"


class ConnectedMeanwhileError(XenoError):
    """A store was connected while it was about to be removed."""


@dataclass(frozen=True)
class Processor:
    """Does requests, one at a time. Whatever is done twice, because a run died in between, comes to the same.

    Args:
        database: where all of it lies.
        exports_folder: XENO_HOME/exports.
        open_client: opens a client of a tenant's store.
    """

    database: Database
    exports_folder: Path
    open_client: Callable[[Tenant], ShopifyClient]

    def process(self, request: PrivacyRequest) -> str | None:
        """Do what a request asks for.

        Returns:
            The tenant whose marts have to follow before the request is done, if so.

        Raises:
            XenoError: it could not be done, and is to be tried again.
        """
        assert request.tenant_id is not None, "of an unknown shop nothing is to be done"
        try:
            with self.database.connect() as connection:
                tenant = registry.get(connection, request.tenant_id)
        except UnknownTenantError:  # removed since then
            exports.delete_exports(self.exports_folder, request.tenant_id)
            self._note(request, NOTHING_HELD)
            return None
        if request.kind == DATA_REQUEST:
            self._export(request)
            return None
        if request.kind == CUSTOMER_REDACT:
            return tenant.tenant_id if self._redact(request) else None
        self._remove(request, tenant)
        return None

    def export(self, request_id: int) -> Path:
        """Write the file of a data request as things are now.

        Returns:
            Where it is. It is deleted with the next run of requests, where it has lived long enough.

        Raises:
            UsageError: there is no such request, or it is about no customer of a tenant.
        """
        with self.database.connect() as connection:
            request = requests.get(connection, request_id)
        if request.kind != DATA_REQUEST or request.customer_id is None or request.tenant_id is None:
            raise UsageError(f"{request} asks for no customer's data, or the tenant is removed.")
        return self.exports_folder / self._export(request)

    def delete_expired_exports(self) -> Failures:
        """Delete the files that have lived long enough; with whom that failed."""
        failures = Failures()
        with self.database.connect() as connection:
            expired = requests.with_expired_export(connection)
        for request in expired:
            step = f"deleting the file of privacy request {request.id}"
            with failures.guard(request.tenant_id or "", step), self.database.connect() as connection:
                exports.delete_export(self.exports_folder, request)
                requests.mark_export_deleted(connection, request)
        return failures

    def _export(self, request: PrivacyRequest) -> str:
        assert request.tenant_id is not None
        with self.database.connect() as connection:
            # A redaction takes this lock too: it finds the file, or the file finds nothing.
            lock(connection, request.tenant_id, raw.CUSTOMERS)
            held = exports.held_of(connection, request)
            name = exports.write_export(self.exports_folder, request, held)
            requests.note_outcome(connection, request, "exported" if held else NOTHING_HELD, name)
        return name

    def _redact(self, request: PrivacyRequest) -> bool:
        """Redact a customer in raw; whether there was anything, now or when a run died that had got as far."""
        assert request.tenant_id is not None
        assert request.customer_id is not None
        with self.database.connect() as connection:
            rows = redact_customer(connection, request.tenant_id, request.customer_id, request.order_ids)
            for exported in requests.exported_of(connection, request.tenant_id, request.customer_id):
                exports.delete_export(self.exports_folder, exported)
                requests.mark_export_deleted(connection, exported)
            outcome = f"redacted: {rows:,} row{'s' * (rows != 1)}" if rows else NOTHING_HELD
            requests.note_outcome(connection, request, outcome)
        return rows > 0 or request.outcome is not None

    def _remove(self, request: PrivacyRequest, tenant: Tenant) -> None:
        with self.database.connect() as connection:
            connected_at = _connected_at(connection, tenant)
        if connected_at is not None and self._has_the_app(tenant):
            self._note(request, "nothing removed: the store is connected again")
            return
        with self.database.connect() as connection:
            lock_for_removal(connection, tenant.tenant_id)  # before the tenant's row is locked, which loads refer to
            if _connected_at(connection, tenant) != connected_at:
                raise ConnectedMeanwhileError(f"{request}: the store was connected just now; it is asked again.")
            requests.note_outcome(connection, request, "removed")
            erase_tenant(connection, self.exports_folder, tenant.tenant_id, "Shopify asked for it (shop/redact)")

    def _has_the_app(self, tenant: Tenant) -> bool:
        """Whether the store has the app installed, by its own account.

        `shop/redact` comes 48 hours after an uninstallation, and not where the app was installed again by then. But it
        may be read later than it came, and the news of the uninstallation may have been lost.

        Raises:
            CredentialError, ShopifyError: the store cannot be asked now.
        """
        client = self.open_client(tenant)
        try:
            client.execute(operation("Shop"))
        except (GrantRefusedError, StoreUnavailableError, TokenRejectedError):
            return False
        finally:
            client.close()
        return True

    def _note(self, request: PrivacyRequest, outcome: str) -> None:
        with self.database.connect() as connection:
            requests.note_outcome(connection, request, outcome)


def erase_tenant(connection: Connection, exports_folder: Path, handle: str, reason: str) -> int:
    """Remove a tenant with all that was made for or noted of it, in the connection's current transaction.

    Args:
        connection: not in autocommit mode.
        exports_folder: XENO_HOME/exports.
        handle: the tenant.
        reason: why, for the audit log.

    Returns:
        The number of rows deleted, those of ops apart.

    Raises:
        UnknownTenantError: there is none of that handle.
        RolesNotPermittedError: the owner may not drop the role of its BI tool.
    """
    deleted = remove_tenant(connection, handle)
    requests.forget_tenant(connection, handle)
    audit.record(connection, handle, "removed", reason)
    exports.delete_exports(exports_folder, handle)
    return deleted


def _connected_at(connection: Connection, tenant: Tenant) -> datetime | None:
    """When the store was last connected, as long as it has a token; its row is locked for this transaction."""
    row = connection.execute(
        """
        select connected_at from ops.tenants
        where tenant_id = %s
        and exists (select from ops.tenant_credentials held where held.tenant_id = tenants.tenant_id)
        for update
        """,
        [tenant.tenant_id],
    ).fetchone()
    return row[0] if row else None
