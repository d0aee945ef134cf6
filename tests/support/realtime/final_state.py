"""What has to hold in the end, whatever happened in between."""

from __future__ import annotations

from tests.support.marts.report import sales_in_marts, sales_reported
from tests.support.marts.warehouse import differences
from tests.support.realtime.machine import Machine


def check_marts(machine: Machine) -> None:
    """Nothing acknowledged is lost, nothing counts twice.

    What was acknowledged is kept; the marts equal a full rebuild, and the stores' own reports; a full read of the
    stores finds nothing that the events missed.
    """
    warehouse = machine.warehouse
    acknowledged = {line["webhook_id"] for line in machine.gateway.log() if line.get("status") == 200}
    kept = {name for (name,) in warehouse.query("select webhook_id from ops.webhook_inbox where dead_at is null")}
    assert acknowledged
    assert acknowledged <= kept
    waiting = warehouse.query("select tenant_id, object, count(*) from ops.changes group by 1, 2")
    print(f"Changes that wait for the next transform: {waiting}")
    warehouse.transform(refit=True)  # as syncs do, though events do not
    incremental = warehouse.marts()
    warehouse.rebuild(refit=True)
    found = differences(incremental, warehouse.marts())
    assert not found, found  # pytest tells more only in test modules
    for handle, store in machine.stores.items():
        assert sales_in_marts(warehouse, handle, "day") == sales_reported(store, "day")
    for report in machine.sync(full=True):
        assert report.rows_changed == 0, f"{report.tenant_id}: the events missed something of {report.stream}"
