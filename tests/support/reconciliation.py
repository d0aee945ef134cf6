"""One tenant's reconciliation, and what it recorded."""

from __future__ import annotations

from typing import Any

from tests.support.installation import Installation
from xeno_pipeline.extraction.reconciliation import reconcile_tenants
from xeno_pipeline.extraction.reconciliation_results import Reconciliation, latest_of
from xeno_pipeline.extraction.report import StreamResult
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.tenants.registry import Tenant


def reconcile(installation: Installation, tenant: Tenant, **options: Any) -> dict[str, StreamResult]:
    syncer = Syncer(installation.database, installation.ring, installation.spool)
    return {result.stream: result for result in reconcile_tenants(syncer, [tenant], ReconcileOptions(**options))}


def found(installation: Installation, tenant: Tenant, stream: str = "orders") -> Reconciliation:
    with installation.database.connect() as connection:
        return next(last for last in latest_of(connection, [tenant.tenant_id]) if last.stream == stream)
