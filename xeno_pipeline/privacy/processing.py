"""Processing privacy requests, except for updating the marts, which is one transform for all of them."""

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
from xeno_pipeline.tenants.bisection import Failures
from xeno_pipeline.tenants.offboarding import remove_tenant
from xeno_pipeline.tenants.registry import Tenant, UnknownTenantError

NOTHING_HELD = "nothing held"


class ReconnectedError(XenoError):
    """A store was connected while it was being removed."""


@dataclass(frozen=True)
class Processor:
    """Processes requests one at a time. Each step is idempotent, as an interrupted run is repeated."""

    database: Database
    exports_folder: Path
    open_client: Callable[[Tenant], ShopifyClient]

    def process(self, request: PrivacyRequest) -> str | None:
        """Process a request.

        Returns:
            The tenant whose marts must be updated before the request is done, if any.

        Raises:
            XenoError: it failed, and must be retried.
        """
        assert request.tenant_id is not None, "a request of an unknown shop is done at once"
        try:
            with self.database.connect() as connection:
                tenant = registry.get(connection, request.tenant_id)
        except UnknownTenantError:  # removed since then
            exports.delete_exports(self.exports_folder, request.tenant_id)
            self._record_outcome(request, NOTHING_HELD)
            return None
        if request.kind == DATA_REQUEST:
            self._export(request)
            return None
        if request.kind == CUSTOMER_REDACT:
            return tenant.tenant_id if self._redact(request) else None
        self._remove(request, tenant)
        return None

    def export(self, request_id: int) -> Path:
        """Write the file of a data request with the current data; returns its path.

        Where the request's retention is over, the next run of requests deletes it.

        Raises:
            UsageError: there is no such request, or it is not a data request of a tenant's customer.
        """
        return self.exports_folder / self._export(self._data_request(request_id))

    def document(self, request_id: int) -> bytes:
        """What the file of a data request would hold with the current data; nothing is written.

        Raises:
            UsageError: as of `export`.
        """
        request = self._data_request(request_id)
        with self.database.connect() as connection:
            return exports.document(request, exports.customer_rows(connection, request))

    def _data_request(self, request_id: int) -> PrivacyRequest:
        with self.database.connect() as connection:
            request = requests.get(connection, request_id)
        if request.kind != DATA_REQUEST or request.customer_id is None or request.tenant_id is None:
            raise UsageError(f"{request} is not a data request of a customer, or the tenant is removed.")
        return request

    def delete_expired_exports(self) -> Failures:
        """Delete expired files; returns the failures."""
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
            # A redaction takes this lock too: either it deletes the file, or the file is written without the data.
            lock(connection, request.tenant_id, raw.CUSTOMERS)
            held = exports.customer_rows(connection, request)
            name = exports.write_export(self.exports_folder, request, held)
            requests.record_outcome(connection, request, "exported" if held else NOTHING_HELD, name)
        return name

    def _redact(self, request: PrivacyRequest) -> bool:
        """Redact a customer in raw; true where rows were redacted, now or by an earlier, interrupted run."""
        assert request.tenant_id is not None
        assert request.customer_id is not None
        with self.database.connect() as connection:
            rows = redact_customer(connection, request.tenant_id, request.customer_id, request.order_ids)
            for exported in requests.with_export_of(connection, request.tenant_id, request.customer_id):
                exports.delete_export(self.exports_folder, exported)
                requests.mark_export_deleted(connection, exported)
            outcome = f"redacted: {rows:,} row{'s' * (rows != 1)}" if rows else NOTHING_HELD
            requests.record_outcome(connection, request, outcome)
        return rows > 0 or request.outcome is not None

    def _remove(self, request: PrivacyRequest, tenant: Tenant) -> None:
        with self.database.connect() as connection:
            connected_at = _connected_at(connection, tenant)
        if connected_at is not None and self._is_app_installed(tenant):
            self._record_outcome(request, "nothing removed: the store is connected again")
            return
        with self.database.connect() as connection:
            lock_for_removal(connection, tenant.tenant_id)  # before the tenant's row, which loads reference, is locked
            if _connected_at(connection, tenant) != connected_at:
                raise ReconnectedError(f"{request}: the store was connected just now; the request will be retried.")
            requests.record_outcome(connection, request, "removed")
            erase_tenant(connection, self.exports_folder, tenant.tenant_id, "requested by Shopify (shop/redact)")

    def _is_app_installed(self, tenant: Tenant) -> bool:
        """Whether the store still accepts the app's token.

        Shopify sends `shop/redact` 48 hours after an uninstallation, unless the app was installed again by then. But it
        may be processed later, and the webhook of the uninstallation may have been lost.

        Raises:
            CredentialError, ShopifyError: the store cannot be queried.
        """
        client = self.open_client(tenant)
        try:
            client.execute(operation("Shop"))
        except (GrantRefusedError, StoreUnavailableError, TokenRejectedError):
            return False
        finally:
            client.close()
        return True

    def _record_outcome(self, request: PrivacyRequest, outcome: str) -> None:
        with self.database.connect() as connection:
            requests.record_outcome(connection, request, outcome)


def erase_tenant(connection: Connection, exports_folder: Path, handle: str, reason: str) -> int:
    """Remove a tenant with its requests' personal data and its exports, in the caller's transaction.

    Args:
        connection: not in autocommit mode.
        reason: for the audit log.

    Returns:
        The number of deleted rows, without those of `ops`.

    Raises:
        UnknownTenantError: there is none of that handle.
        RolesNotPermittedError: the owner may not drop the role of its BI tool.
    """
    deleted = remove_tenant(connection, handle)
    requests.anonymize_tenant(connection, handle)
    audit.record(connection, handle, "removed", reason)
    exports.delete_exports(exports_folder, handle)
    return deleted


def _connected_at(connection: Connection, tenant: Tenant) -> datetime | None:
    """When the store was last connected, if it has a token; locks its row for this transaction."""
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
