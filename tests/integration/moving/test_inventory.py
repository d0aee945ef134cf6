"""No table is forgotten when a tenant moves: each is moved, made again, or stays for a reason that is written down."""

from __future__ import annotations

from pathlib import Path

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.moving.inventory import DESCRIBED, HISTORIES, MOVED, STAYING
from xeno_pipeline.settings import PROJECT_DIR

MODELS = PROJECT_DIR / "dbt_project/models"


def test_every_table_with_a_tenant_is_in_one_list(warehouse: Warehouse) -> None:
    tables = {
        name
        for (name,) in warehouse.query(
            """
            select table_schema || '.' || table_name
            from information_schema.columns join information_schema.tables using (table_schema, table_name)
            where column_name = 'tenant_id' and table_type = 'BASE TABLE'
            and table_schema not in ('stale', 'dagster', 'pg_temp')
            """
        )
    }
    models = {path.stem for path in MODELS.rglob("*.sql")}
    by_dbt = {f"{schema}.{model}" for schema in ("intermediate", "marts") for model in models}
    made_again = tables & by_dbt - set(HISTORIES)
    lists = [[table.name for table in MOVED], list(DESCRIBED), list(STAYING)]

    named = [name for names in lists for name in names]
    assert sorted(named) == sorted(set(named)), "a table is in two lists"
    assert sorted(tables - made_again) == sorted(named), "xeno_pipeline/moving/inventory.py has to say what moves"


def test_histories_that_no_rebuild_makes_are_moved() -> None:
    def has_history(path: Path) -> bool:
        return 'incremental_strategy="history"' in path.read_text()

    assert {f"marts.{path.stem}" for path in MODELS.rglob("*.sql") if has_history(path)} == set(HISTORIES)


def test_whatever_refers_to_a_tenant_has_the_tenant_in_a_column(warehouse: Warehouse) -> None:
    """Else the lists would not see it. People and keys are moved by their grants; links and sessions end."""
    referring = warehouse.query(
        """
        select conrelid::regclass::text from pg_constraint
        where contype = 'f' and confrelid in (select attrelid from pg_attribute where attname = 'tenant_id')
        and not exists (select from pg_attribute where attrelid = conrelid and attname = 'tenant_id')
        """
    )
    assert referring == []
