"""Saved segments: their members by transforms, what changes them, and what must not stop anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse
from tests.support.serving import key_for, serving_login
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.monitoring.checks import SEGMENTS, evaluate
from xeno_pipeline.segments import registry
from xeno_pipeline.segments.errors import SegmentError, SegmentQueryError
from xeno_pipeline.settings import load_settings

REPEATED = "number_of_orders > 1"


@pytest.fixture(scope="module")
def template(make_warehouse: Callable[..., Warehouse]) -> tuple[Warehouse, Store]:
    """A store with customers of none to four orders, in two segments, and one beside it."""
    warehouse = make_warehouse()
    warehouse.register([("acme", "UTC", "EUR"), ("other", "UTC", "EUR")])
    for handle in ("acme", "other"):
        store = Store(handle)
        store.add_customers_of_up_to(4)
        store.load(warehouse)
        with warehouse.database.connect() as connection:
            registry.save_segment(connection, handle, "Repeated", REPEATED)
            registry.save_segment(connection, handle, "Long ago", "last_order_date < -30d")
    warehouse.transform()
    return warehouse, store


@pytest.fixture
def warehouse(
    template: tuple[Warehouse, Store],
    make_warehouse: Callable[..., Warehouse],
    drop_database: Callable[[Database], None],
) -> Iterator[Warehouse]:
    """A copy of it for one test."""
    copy = make_warehouse(template[0])
    yield copy
    drop_database(copy.database)


@pytest.fixture
def customers(warehouse: Warehouse) -> list[int]:
    """The customers of acme, by their number of orders."""
    found = warehouse.query(
        "select customer_id from marts.dim_customers where tenant_id = 'acme' order by orders_count"
    )
    return [customer for (customer,) in found]


def members(warehouse: Warehouse, name: str, handle: str = "acme") -> list[int]:
    found = warehouse.query(
        "select customer_id from marts.segment_members join marts.segments using (tenant_id, segment_id) "
        "where tenant_id = %s and name = %s order by 1",
        handle,
        name,
    )
    return [customer for (customer,) in found]


def change(warehouse: Warehouse, write: Callable[..., Any], *values: Any, **named: Any) -> Any:
    with warehouse.database.connect() as connection:
        return write(connection, "acme", *values, **named)


def segment_id(warehouse: Warehouse, name: str) -> int:
    found: registry.Segment = change(warehouse, registry.find_segment, name)
    return found.segment_id


def test_members_are_in_the_marts_with_what_they_were_when_they_joined(
    warehouse: Warehouse, customers: list[int]
) -> None:
    today = warehouse.value("select as_of_date from ops.tenant_marts where tenant_id = 'acme'")
    assert members(warehouse, "Repeated") == sorted(customers[2:])
    (row,) = warehouse.query(
        "select name, query, customers, share_of_customers, net_sales, joined_30d, left_30d from marts.segments "
        "where tenant_id = 'acme' and name = 'Repeated'"
    )
    net_sales = warehouse.value(
        "select sum(net_sales) from marts.dim_customers where tenant_id = 'acme' and orders_count > 1"
    )
    assert row == ("Repeated", REPEATED, 3, Decimal("0.6"), net_sales, 3, 0)
    (joined,) = warehouse.query(
        "select joined_on, net_sales_when_joined, orders_when_joined, rfm_segment_when_joined is null "
        "from marts.segment_members join marts.segments using (tenant_id, segment_id) "
        "where tenant_id = 'acme' and name = 'Repeated' and customer_id = %s",
        customers[4],
    )
    assert joined == (today, Decimal(79), 4, False)
    assert warehouse.query(
        "select title from marts.customer_timeline where tenant_id = 'acme' and customer_id = %s "
        "and event_type = 'segment_change' order by 1",
        customers[4],
    ) == [("Joined Long ago",), ("Joined Repeated",)]


@pytest.mark.thorough
def test_a_customer_leaves_and_what_was_recorded_stays(warehouse: Warehouse, customers: list[int]) -> None:
    _let_days_pass(warehouse, 3)
    warehouse.execute(
        "update raw.orders set cancelled_at = created_at where tenant_id = 'acme' and customer_id = %s", customers[2]
    )
    warehouse.execute(
        "insert into ops.changes select tenant_id, 'orders', id from raw.orders where tenant_id = 'acme' "
        "and customer_id = %s",
        customers[2],
    )
    warehouse.transform("acme")

    today = warehouse.value("select as_of_date from ops.tenant_marts where tenant_id = 'acme'")
    assert members(warehouse, "Repeated") == sorted(customers[3:])
    assert warehouse.query(
        "select valid_from, valid_to, orders_count from marts.segment_history where tenant_id = 'acme' "
        "and segment_id = %s and customer_id = %s",
        segment_id(warehouse, "Repeated"),
        customers[2],
    ) == [(today - timedelta(days=3), today, 2)]
    assert warehouse.query(
        "select joined_30d, left_30d from marts.segments where tenant_id = 'acme' and name = 'Repeated'"
    ) == [(3, 1)]
    titles = "select title from marts.customer_timeline where customer_id = %s and tenant_id = 'acme'"
    assert ("Left Repeated",) in warehouse.query(titles, customers[2])

    # Back on the same day: as if nothing had been.
    warehouse.execute("update raw.orders set cancelled_at = null where tenant_id = 'acme'")
    warehouse.execute("insert into ops.changes select tenant_id, 'orders', id from raw.orders where tenant_id = 'acme'")
    warehouse.transform("acme")
    assert members(warehouse, "Repeated") == sorted(customers[2:])
    assert warehouse.query(
        "select valid_from, valid_to from marts.segment_history where tenant_id = 'acme' "
        "and segment_id = %s and customer_id = %s",
        segment_id(warehouse, "Repeated"),
        customers[2],
    ) == [(today - timedelta(days=3), None)]


def test_a_changed_rule_a_new_name_and_a_removal_make_the_tenant_due(
    warehouse: Warehouse, customers: list[int]
) -> None:
    assert warehouse.transform().tenant_ids == []
    repeated = segment_id(warehouse, "Repeated")
    change(warehouse, registry.update_segment, repeated, query="number_of_orders = 0")
    change(warehouse, registry.save_segment, "Everybody", "number_of_orders >= 0")
    assert warehouse.transform().tenant_ids == ["acme"]
    assert members(warehouse, "Repeated") == customers[:1]
    assert members(warehouse, "Everybody") == sorted(customers)

    change(warehouse, registry.update_segment, repeated, name="None yet")
    change(warehouse, registry.remove_segment, segment_id(warehouse, "Everybody"))
    assert warehouse.transform().tenant_ids == ["acme"]
    assert members(warehouse, "None yet") == customers[:1]
    assert warehouse.query("select name from marts.segments where tenant_id = 'acme' order by 1") == [
        ("Long ago",),
        ("None yet",),
    ]
    assert warehouse.value("select count(*) from marts.segment_history where valid_to is null") == 1 + 4 + 3 + 4
    assert members(warehouse, "Repeated", "other") != []


@pytest.mark.thorough
def test_another_today_evaluates_nothing_and_the_real_one_all(warehouse: Warehouse, customers: list[int]) -> None:
    change(warehouse, registry.save_segment, "Everybody", "number_of_orders >= 0")
    warehouse.transform(as_of=date(2026, 1, 20))
    assert warehouse.value("select count(*) from marts.segment_history where tenant_id = 'acme'") == 3 + 4
    warehouse.transform()
    assert members(warehouse, "Everybody") == sorted(customers)


@pytest.mark.thorough
def test_a_new_day_evaluates_segments_with_dates_and_no_others(warehouse: Warehouse, customers: list[int]) -> None:
    _let_days_pass(warehouse, 1)
    warehouse.execute("delete from marts.segment_history where tenant_id = 'acme'")
    warehouse.transform("acme")
    assert members(warehouse, "Long ago") == sorted(customers[1:])
    assert members(warehouse, "Repeated") == []
    warehouse.transform("acme", rebuild=True)
    assert members(warehouse, "Repeated") == sorted(customers[2:])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "broken",
    [
        "condition = '(c.orders_count / 0 > 1)'",
        pytest.param("condition = '(c.no_column)'", marks=pytest.mark.thorough),
        pytest.param("query = 'nonsense'", marks=pytest.mark.thorough),
    ],
)
def test_a_segment_that_fails_stops_nothing_and_is_told_of(
    warehouse: Warehouse, customers: list[int], broken: str
) -> None:
    warehouse.execute(f"update ops.segments set {broken} where tenant_id = 'acme' and name = 'Repeated'")
    change(warehouse, registry.save_segment, "Everybody", "number_of_orders >= 0")
    warehouse.execute("insert into ops.changes select tenant_id, 'customers', 0 from ops.tenants")
    report = warehouse.transform()

    assert report.tenant_ids == ["acme", "other"]
    assert members(warehouse, "Repeated") == sorted(customers[2:]), "it keeps the members that it had"
    assert members(warehouse, "Everybody") == sorted(customers)
    with warehouse.database.connect() as connection:
        (finding,) = evaluate(connection, load_settings(), SEGMENTS)
    assert (finding.tenant_id, "1 segment(s) keep the members" in finding.message) == ("acme", True)

    change(warehouse, registry.update_segment, segment_id(warehouse, "Repeated"), query="number_of_orders = 4")
    warehouse.transform()
    assert members(warehouse, "Repeated") == customers[4:]
    with warehouse.database.connect() as connection:
        assert evaluate(connection, load_settings(), SEGMENTS) == []


def test_the_serving_login_saves_segments_of_its_tenants_and_no_conditions(warehouse: Warehouse) -> None:
    login = serving_login(warehouse.database)
    secret = key_for(warehouse.database, ["acme"], Scope.SEGMENTS)

    def refused(statement: str, *values: object) -> bool:
        with login.connect() as connection:
            _unlock(connection, secret)
            try:
                return connection.execute(statement, values).rowcount == 0
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.GeneratedAlways):
                return True

    with login.connect() as connection:
        _unlock(connection, secret)
        saved = registry.save_segment(connection, "acme", "By key", "number_of_orders = 1")
        assert [segment.name for segment in registry.list_segments(connection, "acme")] == [
            *("By key", "Long ago", "Repeated")
        ]
        assert registry.list_segments(connection, "other") == []
        assert registry.update_segment(connection, "acme", saved.segment_id, query="units = 2").query == "units = 2"
    assert warehouse.transform().tenant_ids == ["acme"]
    assert len(members(warehouse, "By key")) == 1

    inserted = "insert into ops.segments (tenant_id, name, query) values (%s, 'x', 'units = 1')"
    assert refused(inserted, "other")
    assert refused("insert into ops.segments (tenant_id, name, query, condition) values ('acme', 'x', 'y', 'true')")
    assert refused("insert into ops.segments (tenant_id, name, query, bound) values ('acme', 'x', 'y', '{}')")
    assert refused("update ops.segments set condition = 'true'")
    assert refused("update ops.segments set bound = '{}'")
    assert refused("update ops.segments set compiler_version = 1")
    assert refused("update ops.segments set tenant_id = 'other'")
    assert refused("update ops.segments set removed_at = now() where tenant_id = 'other'")
    assert refused("delete from ops.segments")
    assert refused("select condition from ops.segments")
    assert refused("select * from ops.matching_segments('acme', now()::date, array[1::bigint], null)")
    assert refused("insert into stale.segments values ('acme', 1)")
    assert refused("insert into ops.changes values ('acme', 'orders', 0)")

    reader = key_for(warehouse.database, ["acme"])
    with login.connect() as connection:
        _unlock(connection, reader)
        assert len(registry.list_segments(connection, "acme")) == 3
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            registry.save_segment(connection, "acme", "By reader", "number_of_orders = 1")


def test_what_cannot_be_saved_is_refused_in_a_sentence(warehouse: Warehouse) -> None:
    for name, text in (("repeated", "already"), ("", "1 to 100"), ("x" * 101, "1 to 100"), ("a\0b", "printable")):
        with pytest.raises(SegmentError, match=text):
            change(warehouse, registry.save_segment, name, REPEATED)
    with pytest.raises(SegmentQueryError):
        change(warehouse, registry.save_segment, "Nonsense", "nonsense")
    with pytest.raises(SegmentError, match="has no segment 99"):
        change(warehouse, registry.remove_segment, 99)
    with pytest.raises(SegmentError, match="has no segment nothing"):
        change(warehouse, registry.find_segment, "nothing")
    change(warehouse, registry.remove_segment, segment_id(warehouse, "Repeated"))
    change(warehouse, registry.save_segment, "REPEATED", REPEATED)  # the name is free again
    warehouse.execute(
        "insert into ops.segments (tenant_id, name, query) "
        "select 'acme', 'Segment ' || number, 'units = 1' from generate_series(1, 98) number"
    )
    with pytest.raises(SegmentError, match="may have no more"):
        change(warehouse, registry.save_segment, "One more", REPEATED)
    for statement in (
        "insert into ops.segments (tenant_id, name, query) values ('acme', 'One more', 'units = 1')",
        "update ops.segments set removed_at = null, name = 'Again' where tenant_id = 'acme' and name = 'Repeated'",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            warehouse.execute(statement)


def _unlock(connection: Connection, secret: str) -> None:
    connection.execute("set transaction read write")
    connection.execute("select ops.unlock(%s)", [secret])


def _let_days_pass(warehouse: Warehouse, days: int) -> None:
    """Make what was recorded today look as if it had been recorded some days ago."""
    warehouse.execute("update ops.tenant_marts set as_of_date = as_of_date - %s", days)
    for table in ("segment_history", "rfm_history"):
        warehouse.execute(f"update marts.{table} set valid_from = valid_from - %s", days)
