"""Every column says what it is: in dbt, and for the marts in the database, where BI tools show it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.marts.warehouse import Warehouse


@pytest.fixture
def models(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """The models of the parsed project, by name."""
    nodes = orjson.loads(warehouse.project.manifest_path.read_bytes())["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


def test_every_column_of_every_model_is_described(warehouse: Warehouse, models: dict[str, dict[str, Any]]) -> None:
    there = warehouse.query(
        """
        select table_name, column_name from information_schema.columns
        where table_schema in ('staging', 'intermediate', 'marts') and not starts_with(table_name, 'prediction_')
        or table_name = 'prediction_quality'
        """
    )
    described = {
        (name, column["name"])
        for name, model in models.items()
        for column in model["columns"].values()
        if len(column["description"]) > 10
    }
    assert len(there) > 500
    assert sorted(set(there) - described) == []
    assert sorted(described - set(there)) == [], "there is no such column"
    assert [name for name, model in models.items() if not model["description"].startswith("One row per")] == []


def test_tables_that_no_model_makes_are_described_in_the_database(warehouse: Warehouse) -> None:
    descriptions = warehouse.query(
        """
        select
            table_name,
            column_name,
            col_description(format('intermediate.%%I', table_name)::regclass, ordinal_position)
        from information_schema.columns where table_schema = 'intermediate' and starts_with(table_name, 'prediction_')
        """
    )
    assert len(descriptions) > 50
    assert [column for *column, description in descriptions if len(description or "") <= 10] == []


def test_the_descriptions_of_marts_are_comments_in_the_database(
    warehouse: Warehouse, models: dict[str, dict[str, Any]]
) -> None:
    commented = warehouse.query(
        """
        select relname, coalesce(attname, ''), description
        from pg_description
        join pg_class on pg_class.oid = objoid and classoid = 'pg_class'::regclass
        left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0
        where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')
        """
    )
    marts = [model for model in models.values() if model["schema"] == "marts"]
    assert {(name, column): comment for name, column, comment in commented} == {
        **{(mart["name"], ""): mart["description"].strip() for mart in marts},
        **{
            (mart["name"], column["name"]): column["description"]
            for mart in marts
            for column in mart["columns"].values()
        },
    }
    assert {mart["access"] for mart in marts} == {"public"}
    assert {model["access"] for model in models.values() if model not in marts} == {"protected"}
