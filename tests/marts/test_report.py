"""The marts agree, to the cent, with what each store computes from its own ledger by another route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.installation import Installation, Shop
from tests.marts.warehouse import Warehouse
from xeno_pipeline.sandbox.controls.report import MEASURES
from xeno_pipeline.sandbox.process import SandboxProcess
from xeno_pipeline.sandbox.spec import StoreSpec
from xeno_pipeline.tenants.credentials import KeyRing

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

    def report(self, handle: str, by: str) -> dict[str, tuple[Decimal, ...]]:
        rows = self.sandbox.control.store(handle).report("2000-01-01", "2100-01-01", by)
        return {row["period"]: tuple(Decimal(row[name]) for name in ("orders", *MEASURES)) for row in rows}


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
        for tenant in tenants:
            installation.sync(tenant, "orders")
        warehouse.transform()
        yield Stores(sandbox, warehouse)


@pytest.mark.parametrize("handle", [spec.handle for spec in STORES])
def test_sales_by_day(stores: Stores, handle: str) -> None:
    columns = ", ".join(("orders", *MEASURES))
    days = stores.warehouse.query(
        f"select date_day::text, {columns} from marts.revenue_daily where tenant_id = %s", handle
    )
    report = stores.report(handle, "day")

    assert len(report) > 50
    assert {day: tuple(figures) for day, *figures in days if any(figures)} == {
        day: figures for day, figures in report.items() if any(figures)
    }


@pytest.mark.parametrize("handle", [spec.handle for spec in STORES])
def test_sales_by_month(stores: Stores, handle: str) -> None:
    columns = ", ".join(("orders", *MEASURES))
    months = stores.warehouse.query(
        f"select to_char(period_start, 'YYYY-MM'), {columns} from marts.revenue_trends "
        "where tenant_id = %s and grain = 'month'",
        handle,
    )
    report = stores.report(handle, "month")

    assert {month: tuple(figures) for month, *figures in months if any(figures)} == report
