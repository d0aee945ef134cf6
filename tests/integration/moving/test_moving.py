"""The marts where a tenant moved to are those that it would have had where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop
from tests.support.marts.warehouse import HISTORY, Warehouse, differences
from tests.support.moving import export, import_
from xeno_pipeline.segments.registry import save_segment
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough

LONG_AGO = "2026-01-01"


def test_marts_and_history_are_equal_after_the_move_and_after_what_happened_meanwhile(
    make_warehouse: Callable[[], Warehouse], ring: KeyRing, shop: Shop, tmp_path: Path
) -> None:
    """The old installation is resumed, and goes on with the same store: what nobody would do but to compare."""
    old, new = make_warehouse(), make_warehouse()
    there = Installation(old.database, ring, tmp_path / "there")
    here = Installation(new.database, KeyRing({"other": bytes(range(1, 33))}), tmp_path / "here")
    tenant = there.connect(shop)
    there.sync(tenant)
    with old.database.connect() as connection:
        save_segment(connection, shop.handle, "Repeated", "number_of_orders > 1")
    old.transform(refit=True)
    # History of other days than today: the first of it is not what a transform of today would write.
    for history in ("rfm_history", "segment_history"):
        old.execute(f"update marts.{history} set valid_from = %s", LONG_AGO)

    export(there, shop.handle, tmp_path / "archive")
    (order,) = shop.control.place_order(new_customer=True)["orders"]
    shop.control.refund(order)
    shop.control.update_customer(tags=["vip"])
    import_(here, tmp_path / "archive")
    with there.database.connect() as connection:
        registry.set_status(connection, shop.handle, "active")
    for installation, warehouse in ((there, old), (here, new)):
        installation.settle()
        assert sum(report.rows_changed for report in installation.sync(tenant).values()) > 0
        installation.execute("update ops.last_changes set changed_at = %s", LONG_AGO)
        warehouse.transform(refit=True)
        warehouse.transform(rebuild=True)

    assert differences(old.marts(), new.marts()) == {}
    for mart in HISTORY:
        rows = f"select to_jsonb(mart) - '{{changed_at, compared_at}}'::text[] from marts.{mart} mart order by 1"
        assert new.query(rows) == old.query(rows), mart
    assert new.value("select count(*) from marts.segment_history where valid_from = %s", LONG_AGO) > 0
