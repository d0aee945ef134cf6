"""Every column of a mart leads back to fields of Shopify, or to the pipeline's own tables."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLScalarType, build_schema, get_named_type

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.marts.lineage import Lineage, origins
from xeno_pipeline.raw.origins import fields_of
from xeno_pipeline.raw.tables import CARTS, RAW_TABLES, RawTable
from xeno_pipeline.settings import PROJECT_DIR

pytestmark = pytest.mark.thorough


@pytest.fixture
def lineage(warehouse: Warehouse) -> Lineage:
    return warehouse.project.column_lineage


def test_every_model_has_a_lineage_of_its_columns(warehouse: Warehouse, lineage: Lineage) -> None:
    columns = warehouse.query(
        """
        select table_schema || '.' || table_name, column_name from information_schema.columns
        where table_schema in ('staging', 'intermediate', 'marts')
        and (table_schema, table_name) not in (
            select 'intermediate', 'prediction_' || name from unnest('{fits, curves, backtests}'::text[]) name
        )
        """
    )
    assert sorted(set(columns) - {(relation, column) for relation, of in lineage.items() for column in of}) == []
    without = [f"{relation}.{column}" for relation, of in lineage.items() for column in of if not of[column]]
    assert len(without) < 25, "numbers of rows and literals alone come from no column"
    assert "marts.revenue_daily.net_sales" not in without


def test_net_sales_come_from_the_amounts_of_shopifys_ledger(lineage: Lineage) -> None:
    assert {("raw.order_sales", name) for name in ("total_amount", "discount_amount", "tax_amount")} <= origins(
        lineage, ("marts.revenue_daily", "net_sales")
    )
    found = {relation for of in lineage for relation, _ in origins(lineage, (of, "tenant_id"))}
    assert {relation.split(".")[0] for relation in found} - {"raw", "ops"} <= {"intermediate"}
    assert {relation for relation in found if relation.startswith("intermediate.")} == {
        "intermediate.prediction_backtests"  # written by Python
    }


NAMES_NOBODY = {"country_code", "locale", "state", "tags", "discount_codes"}
"""What a redaction empties, since somebody may have typed it, but a viewer may see: it seldom tells who somebody is."""


def test_what_comes_from_a_name_or_an_address_is_marked_as_personal(warehouse: Warehouse, lineage: Lineage) -> None:
    personal = {
        (f"raw.{table.name}", column) for table in RAW_TABLES for column in set(table.pii.columns) - NAMES_NOBODY
    }
    assert ("raw.customers", "email") in personal
    marked = set(warehouse.query("select relation_name, column_name from ops.personal_columns"))
    found = {
        (relation, column)
        for relation, columns in lineage.items()
        for column in columns
        if relation.split(".")[0] in ("intermediate", "marts") and origins(lineage, (relation, column)) & personal
    }
    views = set(warehouse.query("select table_schema || '.' || table_name from information_schema.views"))
    tables_and_marts = {key for key in found if key[0].startswith("marts.") or (key[0],) not in views}
    assert tables_and_marts, "there is something to be marked"
    assert tables_and_marts - marked == set(), "say `config: {meta: {personal: true}}` of the column in its yml"


def test_a_lineage_is_kept_for_the_version_of_the_project(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = warehouse.project.column_lineage
    again = type(warehouse.project)(warehouse.project._settings)
    monkeypatch.setattr(again, "_run", None)
    assert again.column_lineage == kept


@pytest.mark.parametrize("table", RAW_TABLES, ids=lambda table: table.name)
def test_every_column_of_raw_names_the_field_it_comes_from(table: RawTable) -> None:
    own = {"tenant_id", "query_version", *({"updated_at"} if table.name == "shops" else ())}
    assert fields_of(table.name).keys() == set(table.copied_columns) - own
    if table is not CARTS:
        schema = build_schema((PROJECT_DIR / "shopify_sandbox" / "data" / "schema.graphql").read_text())
        for path in fields_of(table.name).values():
            kind, *fields = path.split(".")
            of: Any = schema.type_map[kind]
            for field in fields:
                of = get_named_type(of.fields[field].type)
            assert not fields or isinstance(of, GraphQLScalarType | GraphQLEnumType), path
