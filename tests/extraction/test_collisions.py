"""Writers of the same streams of a tenant at the same time, whatever started them, leave what one alone would."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.installation import Installation, Shop, changed
from xeno_pipeline.extraction.reconciliation import Depth, reconcile_tenants
from xeno_pipeline.extraction.report import StreamFailure, StreamResult
from xeno_pipeline.extraction.sync import Syncer, SyncRequest


def test_backfills_hourly_syncs_and_reconciliations_of_one_tenant_do_not_collide(
    installation: Installation, other_installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    shop.control.refund()
    shop.control.place_order()
    shop.control.cancel_order()
    syncer = Syncer(installation.database, installation.ring, installation.spool)
    writers: list[Callable[[], list[StreamResult]]] = [
        lambda: syncer.sync_tenant(tenant, SyncRequest(full=True)),
        lambda: syncer.sync_tenant(tenant, SyncRequest(full=True)),
        lambda: syncer.sync_tenant(tenant, SyncRequest()),
        lambda: reconcile_tenants(syncer, [tenant], Depth(full=True)),
    ]

    with ThreadPoolExecutor(len(writers)) as pool:
        results = [result for of_writer in pool.map(lambda write: write(), writers) for result in of_writer]

    assert [result.error for result in results if isinstance(result, StreamFailure)] == []
    other_installation.sync(other_installation.connect(shop))
    assert changed(installation.raw(), other_installation.raw()) == {}
