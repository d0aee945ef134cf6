"""What a small transform reads: the rows at stake, by indexes, however many there are of other orders and tenants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse

pytestmark = pytest.mark.thorough

TODAY = date(2026, 6, 10)
_ORDERS = 400
_TABLES = ("fct_sales", "fct_orders", "fct_order_lines", "int_refunds", "int_customer_months", "int_customer_scores")
"""Of these no more than what changed has to be read. Sums over days or customers read all of the tenant's."""

_READ = """
    select relname, (seq_tup_read + coalesce(idx_tup_fetch, 0))::integer
    from pg_stat_user_tables
    where schemaname in ('intermediate', 'marts') and relname = any(%s)
    """


@pytest.mark.parametrize("tenant", ["large", "small"])
def test_a_changed_order_does_not_have_its_tables_read(
    large_and_small: dict[str, Store], warehouse: Warehouse, tenant: str
) -> None:
    store = large_and_small[tenant]
    store.edit_order(next(iter(store.orders)), hour=3000, product=None)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    before = dict(warehouse.query(_READ, list(_TABLES)))

    store.edit_order(next(iter(store.orders)), hour=3001, product=None)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    read = {table: rows - before[table] for table, rows in warehouse.query(_READ, list(_TABLES))}
    assert {table: rows for table, rows in read.items() if rows > _ORDERS / 4} == {}
    assert read["fct_sales"] > 0


@pytest.fixture(scope="module")
def large_and_small(warehouse: Warehouse) -> dict[str, Store]:
    """Two stores; tables as small as these are read whole, unless the planner is told not to."""
    stores = {}
    for handle, orders in (("large", _ORDERS), ("small", 2)):
        warehouse.register([(handle, "UTC", "EUR")])
        stores[handle] = store = Store(handle)
        for number in range(orders):
            store.place_order(store.add_customer(), hour=number, product=None)
        store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    warehouse.execute("analyze")
    database = warehouse.value("select current_database()")
    for setting in ("enable_seqscan", "enable_bitmapscan"):
        warehouse.execute(f"alter database {database} set {setting} = off")
    return stores


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    return make_warehouse()
