"""The marts agree, to the cent, with what each store computes from its own ledger by another route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from tests.support.installation import Installation, Shop
from tests.support.marts.report import sales_in_marts, sales_reported
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.monitoring.checks import HISTORY, evaluate
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough

STORES = (
    StoreSpec("cents", orders=200, currency="USD", timezone="America/New_York", seed=1, plan="Enterprise"),
    StoreSpec("yen", orders=200, currency="JPY", timezone="Asia/Tokyo", seed=2, plan="Enterprise"),
    StoreSpec("fils", orders=200, currency="KWD", timezone="Asia/Kuwait", seed=3, plan="Enterprise"),
    StoreSpec("euro", orders=200, currency="EUR", timezone="Europe/Berlin", seed=4, plan="Enterprise"),
)


@dataclass(frozen=True)
class Stores:
    """Stores, and the warehouse that holds them."""

    sandbox: SandboxProcess
    warehouse: Warehouse


@pytest.fixture(scope="module")
def stores(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Generated stores after some more happened to them, all in the marts by an incremental transform."""
    folder = tmp_path_factory.mktemp("report")
    warehouse = make_warehouse()
    installation = Installation(warehouse.database, ring, folder / "spool")
    with SandboxProcess(STORES, folder / "stores") as sandbox:
        tenants = [installation.connect(Shop(sandbox, spec.handle)) for spec in STORES]
        for tenant in tenants:
            installation.sync(tenant)
        warehouse.transform()
        for spec in STORES:
            control = sandbox.control.store(spec.handle)
            placed = control.place_order()["orders"][0]
            control.edit_order(placed, remove=True)
            control.refund()
            control.cancel_order()
            control.update_order(test=True)
            control.delete_order()
        for tenant in tenants:
            installation.sync(tenant, "orders")
        warehouse.transform()
        yield Stores(sandbox, warehouse)


def test_where_all_orders_are_read_the_history_is_complete(stores: Stores) -> None:
    """Though some were cancelled, deleted or made tests since customers told how many they are."""
    complete = stores.warehouse.query("select tenant_id, history_is_complete from marts.dim_tenants")
    assert dict(complete) == {spec.handle: True for spec in STORES}
    with stores.warehouse.database.connect() as connection:
        assert evaluate(connection, load_settings(), HISTORY) == []


def test_the_timeline_has_the_money_of_every_refund(stores: Stores) -> None:
    paid_back = stores.warehouse.query(
        """
        select tenant_id, count(*), -sum(total_refunded)
        from raw.refunds
        join marts.fct_orders orders using (tenant_id, order_id)
        where orders.customer_id is not null and total_refunded > 0 group by 1 order by 1
        """
    )
    assert len(paid_back) == len(STORES)
    assert paid_back == stores.warehouse.query(
        """
        select tenant_id, count(*), sum(amount)
        from marts.customer_timeline where event_type = 'refund' group by 1 order by 1
        """
    )


@pytest.mark.parametrize("handle", [spec.handle for spec in STORES])
@pytest.mark.parametrize(("by", "least"), [("day", 50), ("month", 2)])
def test_sales_are_what_the_store_reports(stores: Stores, handle: str, by: str, least: int) -> None:
    reported = sales_reported(stores.sandbox.control.store(handle), by)
    assert len(reported) >= least
    assert sales_in_marts(stores.warehouse, handle, by) == reported
