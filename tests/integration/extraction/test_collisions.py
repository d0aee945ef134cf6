"""Writers of the same streams of a tenant at the same time, whatever started them, leave what one alone would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.events import reports as read_events
from tests.support.events import tell
from tests.support.installation import Installation, Shop, changed
from xeno_pipeline.extraction.reconciliation import reconcile_tenants
from xeno_pipeline.extraction.report import Progress, StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.raw.id_comparison import IdComparison, SeenId
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough


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
        lambda: reconcile_tenants(syncer, [tenant], ReconcileOptions(full=True)),
    ]

    with ThreadPoolExecutor(len(writers)) as pool:
        results = [result for of_writer in pool.map(lambda write: write(), writers) for result in of_writer]

    assert [result.error for result in results if isinstance(result, StreamFailure)] == []
    other_installation.sync(other_installation.connect(shop))
    assert changed(installation.raw(), other_installation.raw()) == {}


def read_in_full_while(installation: Installation, tenant: Tenant, happens: Callable[[], None]) -> StreamReport:
    """Read all orders again; something happens when the bulk operation has ended and nothing of it is loaded yet."""
    happened: list[Progress] = []

    def look_on(progress: Progress) -> None:
        if progress.phase == "downloading" and not happened:
            happened.append(progress)
            happens()

    syncer = Syncer(installation.database, installation.ring, installation.spool, look_on)
    (report,) = syncer.sync_tenant(tenant, SyncRequest(("orders",), full=True))
    assert isinstance(report, StreamReport), report
    assert happened
    return report


def _load_by_pages(installation: Installation, shop: Shop, tenant: Tenant, order: int) -> None:
    installation.sync(tenant, "orders")


def _load_by_event(installation: Installation, shop: Shop, tenant: Tenant, order: int) -> None:
    tell(installation.database, shop, ("orders/updated", {"id": order}))
    read_events(installation, tenant)


@pytest.mark.parametrize("load", [_load_by_pages, _load_by_event])
def test_an_order_that_changes_while_all_are_read_again_is_kept_as_it_is_now(
    installation: Installation, shop: Shop, load: Callable[[Installation, Shop, Tenant, int], None]
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    (changing,), (placed,) = shop.control.place_order()["orders"], shop.control.place_order()["orders"]
    shop.control.set_clock(offset_seconds=600)
    installation.sync(tenant)

    def change() -> None:
        shop.control.update_order(changing, tags=["urgent"])
        shop.control.refund(changing)
        load(installation, shop, tenant, changing)

    report = read_in_full_while(installation, tenant, change)

    assert report.tables["orders"].deleted == 0
    assert installation.query("select id from raw.orders where deleted_at is not null") == []
    assert installation.value("select tags from raw.orders where id = %s", changing) == ["urgent"]
    assert installation.value("select count(*) from raw.refunds where order_id = %s", changing) == 1
    assert installation.value("select count(*) from raw.orders where id = %s", placed) == 1


def test_an_order_that_changes_while_ids_are_compared_is_kept_as_it_is_now(
    installation: Installation, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reconciliation reads the ids, then someone else loads newer orders, and one is deleted and told of as deleted."""
    tenant = installation.connect(shop)
    installation.sync(tenant)
    changing, deleted = (id_ for (id_,) in installation.query("select id from raw.orders order by id limit 2"))
    record = IdComparison.record

    def record_and_continue(comparison: IdComparison, seen: Iterable[SeenId]) -> None:
        record(comparison, list(seen))
        if comparison.root.name == "orders":
            shop.control.update_order(changing, tags=["urgent"])
            shop.control.delete_order(deleted)
            tell(installation.database, shop, ("orders/updated", {"id": changing}), ("orders/delete", {"id": deleted}))
            read_events(installation, tenant)

    monkeypatch.setattr(IdComparison, "record", record_and_continue)
    syncer = Syncer(installation.database, installation.ring, installation.spool)

    results = reconcile_tenants(syncer, [tenant], ReconcileOptions(full=True))

    assert [result.error for result in results if isinstance(result, StreamFailure)] == []
    assert installation.query("select id from raw.orders where deleted_at is not null") == [(deleted,)]
    assert installation.value("select tags from raw.orders where id = %s", changing) == ["urgent"]
