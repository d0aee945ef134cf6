"""A history is complete where it holds about as many orders as Shopify counts for the store's customers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.installation import Installation, Shop
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.extraction.reconciliation import reconcile_tenants
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.monitoring.checks import HISTORY, Finding, evaluate
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough

ORDERS = 17


@pytest.fixture
def acme(warehouse: Warehouse) -> Store:
    """A store said to be read whole."""
    return _open(warehouse, "acme")


def test_a_history_with_fewer_orders_than_the_customers_placed_is_not_complete(warehouse: Warehouse) -> None:
    complete = {ORDERS: True, ORDERS + 1: True, ORDERS + 2: False, 139: False}
    for counted in complete:
        store = _open(warehouse, f"counted-{counted:03}")
        _count(store, counted)
        store.load(warehouse)
    warehouse.transform()

    said = warehouse.query("select tenant_id, history_is_complete from marts.dim_tenants")
    assert dict(said) == {f"counted-{counted:03}": is_complete for counted, is_complete in complete.items()}
    assert [(finding.tenant_id, finding.message.partition(" that has")[0]) for finding in _findings(warehouse)] == [
        ("counted-019", "Shopify counts 19 orders of its customers, but shows only 17 to a token"),
        ("counted-139", "Shopify counts 139 orders of its customers, but shows only 17 to a token"),
    ]


def test_nothing_is_lacking_of_orders_that_are_on_their_way_or_whose_customer_is_gone(
    warehouse: Warehouse, acme: Store
) -> None:
    _, second, _ = sorted(acme.customers)
    _count(acme, 139)
    _transform(warehouse, acme)
    assert len(_findings(warehouse)) == 1
    with _undone(warehouse, "update raw.customers set updated_at = now() where number_of_orders > 100") as connection:
        assert evaluate(connection, load_settings(), HISTORY) == [], "the customer ordered since orders were asked for"
    for loading in (
        "update ops.sync_state set history_loaded_at = null where stream = 'orders'",
        "update ops.sync_state set history_loaded_at = null where stream = 'customers'",
        "update ops.tenants set access_scopes = '{read_orders}'",
    ):
        with _undone(warehouse, loading) as connection:
            assert evaluate(connection, load_settings(), HISTORY) == []

    # Merged: the winner has all the orders, which are the loser's until they are read again.
    acme.delete_customer(second)
    _count(acme, ORDERS)
    _transform(warehouse, acme)
    assert warehouse.query("select history_is_complete from marts.dim_tenants") == [(True,)]
    assert _findings(warehouse) == []


def test_a_store_that_withholds_what_it_granted_is_told_of_until_it_shows_all(
    warehouse: Warehouse, ring: KeyRing, shop: Shop, tmp_path: Any
) -> None:
    installation = Installation(warehouse.database, ring, tmp_path)
    shop.control.withhold_orders()
    tenant = installation.connect(shop)
    installation.sync(tenant)
    warehouse.transform()
    assert warehouse.query("select history_is_complete from marts.dim_tenants") == [(False,)]
    (finding,) = _findings(warehouse)
    assert finding.tenant_id == shop.handle

    reconcile_tenants(Syncer(warehouse.database, ring, tmp_path), [tenant], ReconcileOptions())
    (finding,) = _findings(warehouse)
    assert finding.message.endswith("customers whose number of orders differs from Shopify's")

    shop.control.withhold_orders(withhold=False)
    installation.sync(tenant, "orders", full=True)
    reconcile_tenants(Syncer(warehouse.database, ring, tmp_path), [tenant], ReconcileOptions())
    warehouse.transform()
    assert warehouse.query("select history_is_complete from marts.dim_tenants") == [(True,)]
    assert _findings(warehouse) == []


def _open(warehouse: Warehouse, handle: str) -> Store:
    """A store of 17 orders by three customers and of one by a guest, said to be all of its history."""
    warehouse.register([(handle, "UTC", "EUR")])
    warehouse.execute("update ops.tenants set access_scopes = '{read_all_orders}'")
    warehouse.execute(
        """
        insert into ops.sync_state (tenant_id, stream, history_loaded_at, synced_at)
        select %s, unnest(array['orders', 'customers']), now(), now()
        """,
        handle,
    )
    store = Store(handle)
    for orders in (12, 4, 1):
        customer = store.add_customer(numberOfOrders=str(orders))
        for hour in range(orders):
            store.place_order(customer, hour, product=None)
    store.place_order(None, 1, product=None)
    return store


def _count(store: Store, orders: int) -> None:
    """Let Shopify count so many orders in all."""
    first, *others = sorted(store.customers)
    rest = sum(int(store.customers[customer]["numberOfOrders"]) for customer in others)
    store.update_customer(first)
    store.customers[first] |= {"numberOfOrders": str(orders - rest), "updatedAt": "2026-06-01T00:00:00Z"}


def _transform(warehouse: Warehouse, store: Store) -> None:
    store.load(warehouse)
    warehouse.transform()


def _findings(warehouse: Warehouse) -> list[Finding]:
    with warehouse.database.connect() as connection:
        return evaluate(connection, load_settings(), HISTORY)


@contextmanager
def _undone(warehouse: Warehouse, change: str) -> Iterator[Any]:
    """A connection that sees a change, of which nothing is left afterwards."""
    with warehouse.database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(change)
        yield connection
