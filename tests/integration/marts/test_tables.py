"""How a transform runs dbt: the tables alone, compiled before, by sessions that models share."""

from __future__ import annotations

import _thread
from contextlib import closing
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import pytest
from dbt.clients.jinja import get_rendered
from dbt.contracts.graph.manifest import Manifest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.marts.dbt_connections import _is_clean
from xeno_pipeline.marts.tables_manifest import keep_tables
from xeno_pipeline.marts.transform import TransformRequest, transform


@pytest.fixture
def store(warehouse: Warehouse) -> Store:
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    for hour in range(5):
        store.place_order(store.add_customer(), hour=hour, product=None)
    store.load(warehouse)
    warehouse.transform()
    return store


def test_tables_that_were_compiled_before_say_what_a_run_of_all_models_says(warehouse: Warehouse, store: Store) -> None:
    store.edit_order(next(iter(store.orders)), hour=7, product=None)
    store.load(warehouse)
    tables = warehouse.transform()
    made = warehouse.marts()

    everything = warehouse.transform(rebuild=True, with_views=True)

    assert {node.name for _, node in tables.nodes} < {node.name for _, node in everything.nodes}
    assert differences(made, warehouse.marts()) == {}


def test_a_model_none_of_whose_keys_is_stale_is_left_as_it_is(warehouse: Warehouse, store: Store) -> None:
    store.edit_order(next(iter(store.orders)), hour=7, product=None)
    store.load(warehouse)
    changed = warehouse.transform()
    nothing = warehouse.transform(only_due=False)

    rows = {node.name: node.rows for _, node in changed.nodes}
    assert (rows["fct_orders"], rows["dim_products"], rows["int_carts"]) == (1, 0, 0)
    assert {node.name for _, node in nothing.nodes if node.rows} == set()


def test_new_rows_are_counted_and_few_of_them_are_no_reason_to_analyze_a_table(
    warehouse: Warehouse, store: Store
) -> None:
    analyzed = "select sum(analyze_count) from pg_stat_user_tables where schemaname in ('intermediate', 'marts')"
    before = warehouse.value(analyzed)
    store.place_order(store.add_customer(), hour=8, product=None)
    store.load(warehouse)

    rows = {node.name: node.rows for _, node in warehouse.transform().nodes}

    assert (rows["fct_orders"], rows["int_customers"], rows["int_customer_months"]) == (1, 1, 1)
    assert warehouse.value(analyzed) == before


def test_models_share_sessions(warehouse: Warehouse, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    connect = psycopg2.connect

    def remember(**how: Any) -> Any:
        opened.append(connect(**how))
        return opened[-1]

    monkeypatch.setattr(psycopg2, "connect", remember)
    report = warehouse.transform(only_due=False)

    threads, others = 4, 3  # the others: for the hooks, and to see which schemas there are
    assert 0 < len(opened) <= threads + others < len(report.nodes)
    assert all(session.closed for session in opened)


def test_a_session_that_broke_is_not_kept(warehouse: Warehouse) -> None:
    with closing(psycopg2.connect(warehouse.database.url)) as session:
        session.cursor().execute("select 1")
        assert _is_clean(session)
        warehouse.execute(f"select pg_terminate_backend({session.get_backend_pid()})")
        with pytest.raises(psycopg2.OperationalError):
            session.cursor().execute("select 1")
        assert not _is_clean(session)


def test_who_interrupts_dbt_interrupts_the_transform(warehouse: Warehouse, store: Store) -> None:
    store.edit_order(next(iter(store.orders)), hour=7, product=None)
    store.load(warehouse)
    interrupts = iter([_thread.interrupt_main])

    def interrupt_once(*_: object) -> None:
        for interrupt in interrupts:
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        transform(warehouse.database, warehouse.project, TransformRequest(["acme"]), interrupt_once)

    report = warehouse.transform()  # what was begun is done again
    assert (report.tenant_ids, report.failures) == (["acme"], {})


def test_sql_that_looks_like_jinja_is_what_it_was(warehouse: Warehouse) -> None:
    sql = "select '{{1,2}}'::integer[] as \"{% raw %}\""
    manifest: Manifest = warehouse.project._manifest()
    keep_tables(manifest, {"model.xeno.int_carts": sql})

    assert get_rendered(manifest.nodes["model.xeno.int_carts"].raw_code, {}) == sql
