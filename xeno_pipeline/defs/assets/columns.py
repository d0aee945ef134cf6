"""Columns of assets: what each is, and from which columns it is computed, back to Shopify's fields.

The open-source Dagster UI has no graph of columns: it shows the schema of an asset's columns alone. So the descriptions
in that schema name the columns upstream, as links. `dagster/column_lineage` says the same for Dagster+ and the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from xeno_pipeline.marts.lineage import Column, Lineage, origins
from xeno_pipeline.raw.origins import fields_of
from xeno_pipeline.raw.tables import RawTable

SCHEMA, LINEAGE = "dagster/column_schema", "dagster/column_lineage"


@dataclass(frozen=True)
class ModelColumns:
    """The columns of the dbt models.

    Args:
        lineage: of all models.
    """

    lineage: Lineage

    def describe(self, spec: dg.AssetSpec, node: Mapping[str, Any]) -> dg.AssetSpec:
        """The asset of a dbt model, with its columns."""
        relation = ".".join(spec.key.path)
        upstream = self.lineage.get(relation, {})
        columns = [
            dg.TableColumn(
                name,
                column["data_type"] or "",
                self._description(column["description"], (relation, name), upstream.get(name, [])),
            )
            for name, column in node["columns"].items()
        ]
        deps = {name: [_dep(column) for column in of] for name, of in upstream.items()}
        return spec.merge_attributes(
            metadata={SCHEMA: dg.TableSchema(columns), LINEAGE: dg.TableColumnLineage(deps)},
        )

    def _description(self, text: str, column: Column, upstream: Iterable[Column]) -> str:
        links = ", ".join(f"[{relation}.{name}](/assets/{relation.replace('.', '/')})" for relation, name in upstream)
        fields = ", ".join(f"`{field}`" for field in sorted(self._fields(column)))
        parts = [text, f"From {links}." if links else "", f"At Shopify: {fields}." if fields else ""]
        return "\n\n".join(part for part in parts if part)

    def _fields(self, column: Column) -> set[str]:
        """The fields of Shopify that a column comes from."""
        raw = [(relation.removeprefix("raw."), name) for relation, name in origins(self.lineage, column)]
        return {fields_of(table)[name] for table, name in raw if name in fields_of(table)}


def describe_raw(spec: dg.AssetSpec, table: RawTable) -> dg.AssetSpec:
    """The asset of a raw table, with the columns that come from Shopify."""
    (stream,) = (dep.asset_key for dep in spec.deps)
    fields = fields_of(table.name)
    columns = [dg.TableColumn(name, description=f"At Shopify: `{field}`.") for name, field in fields.items()]
    deps = {name: [dg.TableColumnDep(stream, field)] for name, field in fields.items()}
    return spec.merge_attributes(metadata={SCHEMA: dg.TableSchema(columns), LINEAGE: dg.TableColumnLineage(deps)})


def describe_source(spec: dg.AssetSpec, tables: Iterable[RawTable]) -> dg.AssetSpec:
    """The asset of what is at Shopify, with the fields that are read."""
    columns = {
        field: f"Read into [raw.{table.name}.{name}](/assets/raw/{table.name})."
        for table in tables
        for name, field in fields_of(table.name).items()
    }
    schema = dg.TableSchema([dg.TableColumn(field, description=text) for field, text in sorted(columns.items())])
    return spec.merge_attributes(metadata={SCHEMA: schema})


def _dep(column: Column) -> dg.TableColumnDep:
    relation, name = column
    return dg.TableColumnDep(dg.AssetKey(relation.split(".")), name)
