"""Transforms: what they touch, what they leave alone, and what survives them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.marts.test_results import run_tests
from xeno_pipeline.marts.transform import TransformRequest, transform
from xeno_pipeline.tenants.bisection import SharedFailureError
from xeno_pipeline.tenants.offboarding import remove_tenant

TODAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def make_opened(make_warehouse: Callable[..., Warehouse]) -> Callable[..., tuple[Warehouse, dict[str, Store]]]:
    """Makes databases with stores whose marts are made: copies of one in which they were."""
    templates: dict[tuple[str, ...], tuple[Warehouse, dict[str, Store]]] = {}

    def make(*handles: str) -> tuple[Warehouse, dict[str, Store]]:
        if handles not in templates:
            warehouse = make_warehouse()
            templates[handles] = warehouse, {handle: _open(warehouse, handle) for handle in handles}
        template, stores = templates[handles]
        return make_warehouse(template), deepcopy(stores)

    return make


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, make_opened: Callable[..., tuple[Warehouse, dict[str, Store]]]
) -> tuple[Warehouse, dict[str, Store]]:
    """A database with the stores that the test asks for."""
    return make_opened(*(handle for handle in ("acme", "other") if handle in request.fixturenames))


@pytest.fixture
def warehouse(opened: tuple[Warehouse, dict[str, Store]]) -> Warehouse:
    return opened[0]


@pytest.fixture
def acme(opened: tuple[Warehouse, dict[str, Store]]) -> Store:
    """A store whose marts are made."""
    return opened[1]["acme"]


@pytest.fixture
def other(opened: tuple[Warehouse, dict[str, Store]]) -> Store:
    """Another one in the same database."""
    return opened[1]["other"]


def test_a_change_rewrites_the_rows_it_touches_and_no_others(warehouse: Warehouse, acme: Store, other: Store) -> None:
    before = _row_versions(warehouse)
    acme.refund(min(acme.orders), hour=1200)
    acme.load(warehouse)
    warehouse.transform(as_of=TODAY)

    rewritten = _changed(before, _row_versions(warehouse))

    assert rewritten["marts.fct_orders"] == [f"(acme,{min(acme.orders)})"]
    assert rewritten["intermediate.int_daily_sales"] == ["(acme,2026-02-20)"]
    assert not [key for keys in rewritten.values() for key in keys if "other" in key]


@pytest.mark.thorough
def test_a_first_build_analyses_what_it_fills_once(warehouse: Warehouse) -> None:
    store = Store("acme")
    for hour in range(1100):
        store.place_order(None, hour=hour, product=None)
    warehouse.register([("acme", "UTC", "EUR")])
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)

    analyzed = dict(
        warehouse.query("select relname, analyze_count from pg_stat_user_tables where schemaname = 'marts'")
    )
    assert analyzed["fct_orders"] == 1  # before stale keys are noted from its rows
    assert analyzed["fct_order_lines"] == 1  # nothing is made stale by these


@pytest.mark.thorough
def test_the_last_load_is_the_last_that_changed_something_for_a_transform_as_for_a_rebuild(
    warehouse: Warehouse, acme: Store
) -> None:
    query = "select last_loaded_at from marts.dim_tenants"
    first = warehouse.value(query)
    acme.load(warehouse)
    assert warehouse.transform(as_of=TODAY).tenant_ids == []  # nothing changed, so nobody is due
    warehouse.rebuild(as_of=TODAY)
    assert warehouse.value(query) == first

    acme.refund(min(acme.orders), hour=1200)
    acme.load(warehouse)
    warehouse.transform(as_of=TODAY)
    assert warehouse.value(query) > first


@pytest.mark.thorough
def test_a_rebuild_of_a_tenant_touches_no_other_and_no_row_that_is_right(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    warehouse.execute("delete from marts.fct_orders where tenant_id = 'acme' and order_id = %s", min(acme.orders))
    warehouse.execute("update intermediate.int_daily_sales set orders = 99 where tenant_id = 'other'")
    before = _row_versions(warehouse)

    warehouse.transform("acme", as_of=TODAY, rebuild=True)

    assert _changed(before, _row_versions(warehouse)) == {"marts.fct_orders": [f"(acme,{min(acme.orders)})"]}


@pytest.mark.thorough
def test_a_transform_that_dies_halfway_forgets_nothing(warehouse: Warehouse, acme: Store) -> None:
    acme.move_order(min(acme.orders), hour=2000)
    acme.merge_customers(*sorted(acme.customers)[:2])
    acme.load(warehouse)
    warehouse.execute(
        "alter table intermediate.int_daily_sales add constraint broken check (date_day < '2026-03-01') not valid"
    )
    assert warehouse.try_transform(as_of=TODAY).failures.keys() == {"acme"}
    warehouse.execute("alter table intermediate.int_daily_sales drop constraint broken")

    warehouse.transform(as_of=TODAY)
    incremental = warehouse.marts()
    warehouse.rebuild(as_of=TODAY)

    assert differences(incremental, warehouse.marts()) == {}


@pytest.mark.thorough
def test_a_tenant_that_cannot_be_transformed_keeps_no_other_from_it(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    for store in (acme, other):
        store.place_order(None, hour=2000, product=None)
        store.load(warehouse)
    warehouse.execute(
        "alter table intermediate.int_daily_sales add constraint broken "
        "check (tenant_id <> 'acme' or date_day < '2026-03-01') not valid"
    )
    failures = warehouse.try_transform(as_of=TODAY).failures
    assert {tenant: str(error).partition(" could")[0] for tenant, error in failures.items()} == {
        "acme": "acme: int_daily_sales"
    }

    assert warehouse.query("select tenant_id from marts.fct_orders where ordered_on > '2026-03-01'") == [
        ("acme",),
        ("other",),
    ]
    assert warehouse.query("select tenant_id from intermediate.int_daily_sales where date_day > '2026-03-01'") == [
        ("other",)
    ]


@pytest.mark.thorough
def test_a_new_day_moves_what_depends_on_it_and_writes_next_to_nothing(warehouse: Warehouse, acme: Store) -> None:
    before = _row_versions(warehouse)
    warehouse.transform(as_of=date(2026, 7, 15))

    assert _changed(before, _row_versions(warehouse)) == {"intermediate.int_tenant_figures": ["(acme)"]}
    assert warehouse.value("select max(date_day) from marts.revenue_daily") == date(2026, 7, 15)
    assert warehouse.query("select distinct as_of_date from marts.rfm_scores") == [(date(2026, 7, 15),)]
    assert warehouse.query("select distinct is_churn_risk from marts.dim_customers where orders_count > 0") == [(True,)]


def test_a_deleted_order_and_a_merged_customer_leave_no_trace(warehouse: Warehouse, acme: Store) -> None:
    winner, loser = sorted(acme.customers)[:2]
    deleted = min(acme.orders)
    acme.delete_order(deleted)
    acme.merge_customers(winner, loser)
    acme.load(warehouse)
    warehouse.transform(as_of=TODAY)

    for mart in ("fct_orders", "fct_sales", "dim_customers", "rfm_scores", "customer_timeline", "top_customers"):
        assert warehouse.value(f"select count(*) from marts.{mart} where customer_id = %s", loser) == 0
    for mart in ("fct_orders", "fct_order_lines", "fct_sales"):
        assert warehouse.value(f"select count(*) from marts.{mart} where order_id = %s", deleted) == 0
    assert warehouse.value("select orders_count from marts.dim_customers where customer_id = %s", winner) == 3


@pytest.mark.thorough
def test_what_nobody_can_know_is_null_and_not_zero(warehouse: Warehouse, acme: Store) -> None:
    never_ordered = acme.add_customer()
    acme.load(warehouse)
    warehouse.register([("unsold", "UTC", "EUR")])
    unsold = Store("unsold")
    unsold.add_customer()
    unsold.load(warehouse)
    warehouse.transform(as_of=TODAY)

    unknown = (
        "days_since_last_order, average_days_between_orders, average_order_value, cohort_month, first_order_on, "
        "last_order_on, recency_score, frequency_score, monetary_score, rfm_segment"
    )
    assert (
        warehouse.query(
            f"select num_nonnulls({unknown}), orders_count, net_sales, is_high_value, is_churn_risk "
            "from marts.dim_customers where tenant_id = 'unsold' or customer_id = %s",
            never_ordered,
        )
        == [(0, 0, 0, False, False)] * 2
    )
    assert warehouse.value("select count(*) from marts.dim_customers where days_since_last_order > 90") == 5

    shares = "count(*), count(share_of_customers), count(share_of_net_sales), sum(share_of_customers)"
    assert warehouse.query(f"select tenant_id, {shares} from marts.rfm_segments group by 1 order by 1") == [
        ("acme", 11, 11, 11, 1),
        ("unsold", 11, 0, 0, None),
    ]
    averages = "num_nonnulls(average_order_value, average_order_value_last_30d, average_order_value_previous_30d)"
    assert warehouse.query(f"select {averages} from marts.tenant_overview where tenant_id = 'unsold'") == [(0,)]


@pytest.mark.thorough
def test_full_refresh_destroys_nothing(warehouse: Warehouse, acme: Store, other: Store) -> None:
    before = _row_versions(warehouse)

    nodes = warehouse.project.invoke(["run", "--full-refresh"], transform_id=None)

    assert [node.message for node in nodes if node.failed] == []
    kept = ("marts.fct_orders", "marts.fct_sales", "intermediate.int_customers", "intermediate.int_daily_sales")
    assert _changed(before, _row_versions(warehouse)).keys().isdisjoint(kept)


@pytest.mark.thorough
def test_a_tested_transform_tests_tables_views_and_how_they_agree(warehouse: Warehouse, acme: Store) -> None:
    request = TransformRequest(warehouse.tenants(), as_of=TODAY, only_due=False, test=True)
    done: list[str] = []
    report = transform(warehouse.database, warehouse.project, request, lambda name, _number, _total: done.append(name))
    assert (report.failures, report.failed_tests) == ({}, [])
    assert {"fct_orders", "days_add_up_to_periods"} <= set(done), "progress is shown of models and tests"

    warehouse.execute("update marts.fct_orders set net_sales = net_sales + 1, is_first_order = false")
    failed = {test.name for test in warehouse.transform(as_of=TODAY, only_due=False, test=True).failed_tests}

    assert failed == {"days_add_up_to_periods", "ledger_sums_to_orders_days_and_customers"}


# -- history


@pytest.mark.thorough
def test_history_records_a_change_of_scores_on_the_day_it_is_observed(warehouse: Warehouse, acme: Store) -> None:
    warehouse.transform()
    _a_day_passes(warehouse)
    poorest = min(acme.customers)
    for _ in range(3):
        acme.place_order(poorest, hour=1100, product=None, price="500.00")
    acme.load(warehouse)
    warehouse.transform()

    today = warehouse.value("select as_of_date from intermediate.int_tenant_figures")
    rows = warehouse.query(
        "select valid_from < %s, valid_to, monetary_score from marts.rfm_history "
        "where customer_id = %s order by valid_from",
        today,
        poorest,
    )
    assert rows == [(True, today, 1), (False, None, 5)]
    assert _open_history(warehouse) == _scores(warehouse)
    assert warehouse.value("select sum(customers) from marts.rfm_migrations") > 0
    assert warehouse.value("select count(*) from marts.customer_timeline where event_type = 'segment_change'") > 0


@pytest.mark.thorough
def test_several_changes_on_a_day_leave_one_row_and_none_where_they_undo_each_other(
    warehouse: Warehouse, acme: Store
) -> None:
    warehouse.transform()
    _a_day_passes(warehouse)
    before = warehouse.query("select * from marts.rfm_history order by 2, 3")
    placed = [acme.place_order(min(acme.customers), hour=1100, product=None, price="500.00") for _ in range(2)]
    for order in placed:
        acme.load(warehouse)
        warehouse.transform()
        acme.delete_order(order)
    acme.load(warehouse)
    warehouse.transform()

    assert warehouse.query("select * from marts.rfm_history order by 2, 3") == before


@pytest.mark.thorough
def test_only_transforms_of_today_write_history_and_rebuilds_keep_it(warehouse: Warehouse, acme: Store) -> None:
    assert warehouse.query("select * from marts.rfm_history") == []
    warehouse.transform()
    _a_day_passes(warehouse)
    recorded = warehouse.query("select * from marts.rfm_history order by 2")

    warehouse.transform(as_of=TODAY)
    warehouse.transform(rebuild=True)

    assert recorded == warehouse.query("select * from marts.rfm_history order by 2")
    assert _open_history(warehouse) == _scores(warehouse)


def _open(warehouse: Warehouse, handle: str) -> Store:
    """A store of five customers with two orders each, one guest, and marts as of TODAY."""
    warehouse.register([(handle, "Europe/Berlin", "EUR")])
    store = Store(handle)
    product = store.add_product()
    for number in range(5):
        customer = store.add_customer()
        for order in range(2):
            store.place_order(customer, hour=1000 + 24 * number + order, product=product, price=f"{20 + number}.00")
    store.place_order(None, hour=1000, product=product)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    return store


def _row_versions(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """By table and key, what changes with every write of a row, even of the same values."""
    tables = warehouse.query(
        """
        select n.nspname || '.' || c.relname, string_agg(a.attname, ', ' order by a.attnum)
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_index i on i.indrelid = c.oid and i.indisprimary
        join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
        where n.nspname in ('intermediate', 'marts')
        group by 1
        """
    )
    return {
        table: dict(warehouse.query(f"select '(' || concat_ws(',', {key}) || ')', xmin || '/' || ctid from {table}"))
        for table, key in tables
    }


def _changed(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {
        table: sorted(key for key in before[table] | after[table] if before[table].get(key) != after[table].get(key))
        for table in before
    }
    return {table: keys for table, keys in found.items() if keys}


def _a_day_passes(warehouse: Warehouse) -> None:
    """What was recorded today was recorded yesterday."""
    warehouse.execute("update marts.rfm_history set valid_from = valid_from - 1, valid_to = valid_to - 1")


def _open_history(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "select customer_id, recency_score, frequency_score, monetary_score, rfm_segment "
        "from marts.rfm_history where valid_to is null order by 1"
    )


def _scores(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "select customer_id, recency_score, frequency_score, monetary_score, rfm_segment "
        "from marts.rfm_scores order by 1"
    )


# -- tests, and what was left out


@pytest.mark.thorough
def test_tests_run_after_all_models_so_that_one_that_fails_keeps_no_mart_from_being_made(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    for store in (acme, other):
        store.place_order(None, hour=2000, product=None)
        store.load(warehouse)
    warehouse.execute(
        """
        delete from intermediate.int_daily_sales
        where tenant_id = 'acme' and date_day = (select min(date_day) from intermediate.int_daily_sales)
        """
    )

    report = warehouse.try_transform(as_of=TODAY, test=True)

    assert report.failures == {}
    assert {tuple(test.tenants) for test in report.failed_tests} == {("acme",)}, "the test tells whose rows they are"
    assert "should not be there" in report.failed_tests[0].tenants["acme"]
    assert warehouse.query(
        "select distinct tenant_id from marts.fct_orders where ordered_on > '2026-03-01' order by 1"
    ) == [
        ("acme",),
        ("other",),
    ]


@pytest.mark.thorough
def test_what_a_test_said_of_one_tenant_stays_when_it_runs_for_another(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    query = "select distinct tenant_id from ops.dbt_test_failures order by 1"
    warehouse.transform()
    warehouse.execute(
        "update intermediate.int_daily_sales set new_customers = new_customers + 1 where tenant_id = 'acme'"
    )
    warehouse.try_transform("acme", only_due=False, test=True)
    assert warehouse.query(query) == [("acme",)]
    warehouse.try_transform("other", only_due=False, test=True)
    assert warehouse.query(query) == [("acme",)]

    warehouse.execute(
        "update intermediate.int_daily_sales set new_customers = new_customers - 1 where tenant_id = 'acme'"
    )
    run_tests(warehouse.database, warehouse.project)
    assert warehouse.query(query) == []
    assert warehouse.value("select count(*) from stale.orders") == 0, "tests make nothing stale"


@pytest.mark.thorough
def test_changes_stay_until_every_table_is_made(warehouse: Warehouse, acme: Store) -> None:
    acme.place_order(None, hour=2000, product=None)
    acme.load(warehouse)
    warehouse.interrupted_transform("fct_orders", as_of=TODAY)
    assert warehouse.value("select count(*) from ops.changes") > 0, "what is made from that model is yet to be made"
    warehouse.execute("delete from ops.changes")
    assert warehouse.transform(as_of=TODAY).tenant_ids == ["acme"], "what became stale is due, too"
    assert warehouse.transform(as_of=TODAY).tenant_ids == []

    incremental = warehouse.marts()
    warehouse.rebuild(as_of=TODAY)
    assert differences(incremental, warehouse.marts()) == {}


@pytest.mark.thorough
def test_what_cannot_be_noted_as_stale_fails_for_its_tenant_alone(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    """That fails at the start of a run of dbt, before any model."""
    for store in (acme, other):
        store.place_order(None, hour=2000, product=None)
        store.load(warehouse)
    warehouse.execute("alter table stale.orders add constraint broken check (tenant_id <> 'acme') not valid")
    report = warehouse.try_transform(as_of=TODAY)
    assert report.tenant_ids == ["other"]
    assert "violates check constraint broken" in str(report.failures["acme"])
    assert str(report.failures["acme"]).startswith("acme: ")


@pytest.mark.thorough
def test_what_fails_for_everybody_is_tried_no_further(warehouse: Warehouse, acme: Store, other: Store) -> None:
    for store in (acme, other):
        store.place_order(None, hour=2000, product=None)
        store.load(warehouse)
    warehouse.execute("alter table stale.orders rename to hidden")
    with pytest.raises(SharedFailureError, match=r"relation stale\.orders does not exist"):
        warehouse.try_transform("acme", "other", as_of=TODAY, only_due=False)


@pytest.mark.thorough
def test_a_time_zone_that_the_database_does_not_know_stops_its_tenant_alone(
    warehouse: Warehouse, acme: Store, other: Store
) -> None:
    warehouse.move("acme", "Mars/Olympus_Mons")
    report = warehouse.try_transform(as_of=None)
    assert report.tenant_ids == ["other"]
    assert "acme: its time zone is 'Mars/Olympus_Mons', which the database does not know" in str(
        report.failures["acme"]
    )


@pytest.mark.thorough
def test_nothing_is_made_of_a_tenant_that_is_removed_meanwhile(warehouse: Warehouse, acme: Store, other: Store) -> None:
    with warehouse.database.connect() as connection:
        remove_tenant(connection, "acme")
    report = warehouse.transform("acme", "other", as_of=TODAY, only_due=False, rebuild=True)
    assert report.tenant_ids == ["other"]
    for schema in ("intermediate", "marts"):
        tables = (
            "select table_name from information_schema.tables where table_schema = %s and table_type = 'BASE TABLE'"
        )
        for (table,) in warehouse.query(tables, schema):
            assert warehouse.value(f"select count(*) from {schema}.{table} where tenant_id = 'acme'") == 0


@pytest.mark.thorough
def test_an_order_that_moves_to_another_customer_is_followed_through_the_stale_keys(warehouse: Warehouse) -> None:
    """The worked example of docs/contribute/stale-keys.md."""
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    product = store.add_product()
    first, second = store.add_customer(), store.add_customer()
    earlier = store.place_order(first, hour=1, product=product)
    moved = store.place_order(first, hour=30, product=product)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    assert _stale_keys(warehouse) == {}

    store.reassign(moved, second)
    store.load(warehouse)
    assert _stale_keys(warehouse) == {}, "a load marks objects as changed, no keys as stale"

    bound = "select high_value_at_least from intermediate.int_tenant_figures"
    bound_before = warehouse.value(bound)
    tables = [unique_id.split(".")[2] for unique_id in warehouse.project.tables]
    warehouse.interrupted_transform(*tables, as_of=TODAY)  # at its end a transform deletes the keys

    assert _stale_keys(warehouse) == {
        "orders": [f"({moved})"],
        "renumbered_orders": [f"({earlier})", f"({moved})"],
        "customers": [f"({first})", f"({second})"],
        "days": ["(2026-01-02)"],
        "product_months": [f"({product},2026-01-01)"],
        "tenants": ["()"],
        "high_value_bounds": [f"({each})" for each in sorted((bound_before, warehouse.value(bound)))],
        "score_bounds": [f"(2,2026-01-02,{second},1,19.7500,{second},19.7500,{second})"],
        "scores": [f"({first})", f"({second})"],
    }
    warehouse.transform(as_of=TODAY)
    assert _stale_keys(warehouse) == {}


def _stale_keys(warehouse: Warehouse) -> dict[str, list[str]]:
    """By kind, the stale keys of the tenant."""
    kinds = [kind for (kind,) in warehouse.query("select tablename from pg_tables where schemaname = 'stale'")]
    found = {
        kind: [
            f"({','.join(map(str, row[1:]))})" for row in warehouse.query(f"select * from stale.{kind} order by 1, 2")
        ]
        if kind != "tenants"
        else ["()"] * warehouse.value("select count(*) from stale.tenants")
        for kind in kinds
    }
    return {kind: keys for kind, keys in found.items() if keys}
