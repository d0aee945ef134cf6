"""dbt's customary names: `stg_shopify__orders` for `stg_orders`, `intermediate.int_customers` for `core.customers`.

Relations are renamed, so that rows, indexes, policies, privileges and the views on top of them stay. Dagster's events
about them follow, so that the assets keep their history.

Revision: 0017
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_STAGING = {
    "shopify": (
        "abandoned_checkout_line_items",
        "abandoned_checkouts",
        "carts",
        "customers",
        "fulfillments",
        "order_agreements",
        "order_line_items",
        "order_sales",
        "order_transactions",
        "orders",
        "product_variants",
        "products",
        "refunds",
        "shops",
    ),
    "ops": ("last_changes", "sync_state", "tenants"),
}
_CORE = (
    "carts",
    "checkouts",
    "customer_months",
    "customer_scores",
    "customers",
    "daily_sales",
    "product_months",
    "refunds",
    "tenant_figures",
)

RENAMED = {
    **{
        ("staging", f"stg_{name}"): ("staging", f"stg_{source}__{name}")
        for source, names in _STAGING.items()
        for name in names
    },
    **{("core", name): ("intermediate", f"int_{name}") for name in _CORE},
}
"""The relations, which are assets and dbt models of the same name."""

_WITH_ASSET_KEYS = {
    "asset_keys": ("last_materialization", "asset_details"),
    "event_logs": ("event",),
    "asset_event_tags": (),
    "asset_check_executions": ("evaluation_event",),
    "asset_daemon_asset_evaluations": ("asset_evaluation_body",),
}
"""Dagster's tables with a column `asset_key`, and their columns of serialized text that holds the key too."""


def upgrade() -> None:
    op.execute("create schema if not exists intermediate")
    for old, new in RENAMED.items():
        _rename_relation(old, new)
    _drop_core()
    op.execute("""
        comment on function ops.secure is
        'Make a mart, or a table that marts stand on, what a tenant may query: the owner and operators see all of its '
        'rows, a tenant its own. Does nothing, and takes no lock, where all is as it should be.'
        """)
    op.execute("alter table stale.order_numbers rename to renumbered_orders")
    op.execute("""
        comment on table stale.renumbered_orders is
        'Orders whose place among their customer''s orders may be another: those that changed, and all others of their '
        'customers, old and new.'
        """)
    _rename_test_results()
    _rename_assets()


def _rename_relation(old: tuple[str, str], new: tuple[str, str]) -> None:
    schema, name = old
    if not _exists(f"{schema}.{name}"):
        return  # no relations were made yet
    for (index,) in _rows(
        """
        select indexname from pg_indexes
        where schemaname = :schema and tablename = :name and indexname ^@ (:name || '_')
        """,
        schema=schema,
        name=name,
    ):
        op.execute(f'alter index {schema}."{index}" rename to "{index.replace(name, new[1], 1)}"')
    kind = _rows("select relkind from pg_class where oid = cast(:relation as regclass)", relation=f"{schema}.{name}")
    what = "view" if kind[0][0] == "v" else "table"
    op.execute(f"alter {what} {schema}.{name} rename to {new[1]}")
    if schema != new[0]:
        op.execute(f"alter {what} {schema}.{new[1]} set schema {new[0]}")


def _drop_core() -> None:
    """Drop the schema, unless somebody else put something into it."""
    op.execute("""
        do $$ begin
            drop schema if exists core;
        exception when dependent_objects_still_exist then null;
        end $$
        """)


def _rename_test_results() -> None:
    """Let the results of dbt's tests name the models by their new names; a test itself that is named otherwise goes."""
    models = {old[1]: new[1] for old, new in RENAMED.items()}
    _execute(
        """
        update ops.dbt_tests
        set models = array(
            select coalesce(cast(:names as jsonb) ->> model, model)
            from unnest(models) with ordinality as each (model, place) order by place
        )
        """,
        names=json.dumps(models),
    )
    op.execute(r"delete from ops.dbt_tests where test ~ '_stg_' and test !~ '_stg_(shopify|ops)__'")


def _rename_assets() -> None:
    """Let Dagster's events be of the assets' new keys. A key that is there already keeps its own summary."""
    if _exists("dagster.asset_keys"):
        for old, new in RENAMED.items():
            _execute(
                """
                delete from dagster.asset_keys
                where asset_key = :old and exists (select from dagster.asset_keys where asset_key = :new)
                """,
                old=json.dumps(old),
                new=json.dumps(new),
            )
    for table, texts in _WITH_ASSET_KEYS.items():
        if _exists(f"dagster.{table}"):
            replaced = "".join(f", {text} = replace({text}, :old_path, :new_path)" for text in texts)
            for old, new in RENAMED.items():
                _execute(
                    f"update dagster.{table} set asset_key = :new{replaced} where asset_key = :old",
                    old=json.dumps(old),
                    new=json.dumps(new),
                    **(
                        {"old_path": f'"path": {json.dumps(old)}', "new_path": f'"path": {json.dumps(new)}'}
                        if texts
                        else {}
                    ),
                )


def _exists(relation: str) -> bool:
    return bool(_rows("select to_regclass(:relation) is not null", relation=relation)[0][0])


def _rows(statement: str, **values: str) -> list[sa.Row[Any]]:
    return list(op.get_bind().execute(sa.text(statement), values).all())


def _execute(statement: str, **values: str) -> None:
    op.get_bind().execute(sa.text(statement), values)
