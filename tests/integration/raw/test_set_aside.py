"""What is set aside, for how long, and what a load does with rows that PostgreSQL refuses all the same."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.nodes import OPENED, at, money, order, product
from tests.support.raw_tables import ALL_GONE, Warehouse, counted, register
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import Refuse, RowMapping
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import ORDERS, PRODUCTS
from xeno_pipeline.tenants.offboarding import remove_tenant


@pytest.fixture
def warehouse(installation: Installation) -> Warehouse:
    return register(installation, "acme")


def listed(warehouse: Warehouse) -> dict[int, str]:
    return dict(warehouse.query("select object_id, reason from ops.set_aside where tenant_id = %s"))


def poison(number: int, updated: int, **fields: Any) -> dict[str, Any]:
    return product(number, updated, handle=7, **fields)


def test_what_is_read_in_a_good_shape_leaves_the_list_but_not_for_an_earlier_read(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5))
    counts = warehouse.load(PRODUCTS, poison(1, 8), product(2, 5), read_at=100)
    assert (counts["products"].set_aside, counted(counts)) == (1, (1, 0, 0))
    assert listed(warehouse) == {1: "handle is no text"}

    warehouse.load(PRODUCTS, product(1, 5), read_at=90)
    assert listed(warehouse) == {1: "handle is no text"}, "the bulk result was older than the page"

    warehouse.load(PRODUCTS, product(1, 9), read_at=110)
    assert listed(warehouse) == {}
    assert warehouse.products()[1] == ("as of 9", set())


def test_what_has_become_good_since_it_was_read_is_not_listed(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 9), read_at=110)

    warehouse.load(PRODUCTS, poison(1, 8), read_at=100)

    assert listed(warehouse) == {}


def test_how_long_it_is_set_aside_is_told_from_the_first_time(warehouse: Warehouse) -> None:
    for minute in (100, 200):
        warehouse.load(PRODUCTS, poison(1, 8), read_at=minute)
    ((first, last),) = warehouse.query("select first_seen_at, last_seen_at from ops.set_aside where tenant_id = %s")
    assert ((first - OPENED).total_seconds(), (last - OPENED).total_seconds()) == (6000, 12000)


def test_a_complete_read_takes_nothing_for_gone_that_it_set_aside(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10]), product(2, 5), product(3, 5))

    counts = warehouse.load(PRODUCTS, poison(1, 8), product(2, 5), complete=ALL_GONE)

    assert warehouse.gone() == {3}
    assert counts["products"].deleted == 1
    assert warehouse.products()[1] == ("as of 5", {10})


def test_what_is_set_aside_and_no_longer_there_leaves_the_list(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), poison(2, 5), poison(3, 5, createdAt="?"), poison(4, 5))
    with warehouse.installation.database.connect() as connection:
        Load("acme", PRODUCTS, OPENED).mark_deleted(connection, [4])
    assert set(listed(warehouse)) == {2, 3}

    warehouse.load(PRODUCTS, product(1, 5), complete=ALL_GONE)
    assert listed(warehouse) == {}


def test_records_without_an_id_are_counted_under_one_entry(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), {}, {"__typename": "Product", "id": 3})

    assert warehouse.query("select object_id, gid, records from ops.set_aside where tenant_id = %s") == [(0, "", 2)]


def test_an_order_of_which_a_part_does_not_fit_is_set_aside_with_its_customer(warehouse: Warehouse) -> None:
    bad = order(1, 5, lines=[10], ledger={"1": ["100"]}, customer={"id": "gid://shopify/Customer/7"})
    bad["agreements"][0]["sales"][0]["totalAmount"] = money("1e12")

    warehouse.load(ORDERS, bad, order(2, 5, lines=[20]))

    assert warehouse.query("select object_id, customer_id, created_at from ops.set_aside where tenant_id = %s") == [
        (1, 7, OPENED)
    ]
    assert listed(warehouse) == {1: "Sale: totalAmount.shopMoney.amount is an amount of 1e12 or more"}
    assert warehouse.column("orders", "id") == {2}
    assert warehouse.column("order_sales", "id") == set()


@pytest.mark.parametrize("first", [True, False], ids=["first load", "merge"])
def test_rows_that_postgresql_refuses_are_found_and_set_aside_with_their_objects(
    warehouse: Warehouse, first: bool
) -> None:
    """No mapping makes such rows; should one do, the stream must not stand still."""
    if not first:
        warehouse.load(ORDERS, order(9, 5))
    mapping = RowMapping(ORDERS, "acme", 1)
    spoilt = {b"\t3\t": b"1200-13-01T00:00:00Z", b"\t50\t": b"x", b"gid://shopify/Sale/7\t": b"x"}

    def batches(suppressed: Suppressed, refuse: Refuse) -> Generator[Batch, None, None]:
        for batch in mapping.of_objects(nodes())(suppressed, refuse):
            rows = [spoil(batch.table, row) for row in batch.data.split(b"\n")]
            yield replace(batch, data=b"\n".join(rows))

    def spoil(table: str, row: bytes) -> bytes:
        for key, value in spoilt.items():
            if key in row and (table == "orders" or key != b"\t3\t"):
                old = at(5).encode() if table == "orders" else b"\t1\t"
                assert old in row
                row = row.replace(old, value if table == "orders" else b"\t" + value + b"\t", 1)
        return row

    def nodes() -> list[dict[str, Any]]:
        return [order(n, 5, lines=[10 * n], ledger={f"{n}": [f"{n}"]}) for n in range(1, 9)]

    with warehouse.installation.database.connect() as connection:
        counts = Load("acme", ORDERS, OPENED).run(connection, batches)

    assert warehouse.column("orders", "id") - {9} == {1, 2, 4, 6, 8}
    assert warehouse.column("order_line_items", "order_id") == {1, 2, 4, 6, 8}
    assert warehouse.column("order_sales", "id") == {f"gid://shopify/Sale/{n}" for n in (1, 2, 4, 6, 8)}
    assert counts["orders"].set_aside == 3
    assert {id_: reason.split(" ")[0] for id_, reason in listed(warehouse).items()} == {
        3: "updated_at",
        5: "quantity",
        7: "quantity",
    }


def test_a_removed_tenant_leaves_nothing_on_the_list(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, poison(1, 5))

    with warehouse.installation.database.connect() as connection:
        remove_tenant(connection, "acme")

    assert listed(warehouse) == {}
