"""From which columns each column of a model is computed, read off the models' SQL.

dbt writes the SQL; sqlglot says which columns a select expression names, conditions included. Columns that only a join
or a filter uses are not among them, nor has a count of rows any.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

from xeno_pipeline.marts.lineage import Column, Lineage

_DIALECT = "postgres"

_OPS = {
    "transform_scope": ("tenant_id", "as_of_date", "is_whole", "writes_history"),
    "transforms": ("transform_id", "tenant_id", "started_at"),
}
"""What models read of the schema ops besides dbt's sources."""


def column_lineage(manifest: Mapping[str, Any], compiled: Path, project: Path) -> Lineage:
    """The lineage of all models. A model that sqlglot does not understand has none, and a warning says so.

    Args:
        manifest: of the parsed project.
        compiled: the folder of the models' SQL, as dbt compiled it.
        project: the folder of the dbt project, whose dbt_project.yml declares the stale keys.
    """
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it prints the SQL of each subquery that it leaves out
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    columns = {_relation(node): tuple(node["columns"]) for node in models.values()}
    columns |= {_relation(node): _seed_columns(project, node) for node in _seeds(manifest)}
    columns |= {f"ops.{name}": of for name, of in _OPS.items()}
    columns |= {f"stale.{kind}": ("tenant_id", *of["columns"]) for kind, of in _stale_keys(project).items()}
    known = {_relation(node) for node in (*manifest["nodes"].values(), *manifest["sources"].values())}
    found: Lineage = {}
    for node in models.values():
        try:
            sql = (compiled / node["original_file_path"]).read_text()
            read = _of_model(sql, _relation(node), columns)
            found[_relation(node)] = {
                name: [column for column in of if column[0] in known] for name, of in read.items()
            }
        except SqlglotError as error:
            reason = str(error).partition("\n")[0]
            logging.getLogger(__name__).warning("%s has no column lineage: %s", node["name"], reason)
    return found


def _of_model(sql: str, relation: str, columns: Mapping[str, tuple[str, ...]]) -> dict[str, list[Column]]:
    schema = MappingSchema(dialect=_DIALECT)
    catalog = next(table.catalog for table in parse_one(sql, dialect=_DIALECT).find_all(exp.Table) if table.catalog)
    for known, names in columns.items():
        db, table = known.split(".")
        schema.add_table(exp.table_(table, db=db, catalog=catalog), dict.fromkeys(names, "text"), dialect=_DIALECT)
    query = qualify(
        parse_one(sql, dialect=_DIALECT),
        schema=schema,
        dialect=_DIALECT,
        validate_qualify_columns=False,
        identify=False,
    )
    scope = build_scope(query)
    return {
        column: sorted(_read(lineage(column, query, schema=schema, dialect=_DIALECT, scope=scope), relation))
        for column in columns[relation]
    }


def _read(node: Any, relation: str) -> set[Column]:
    """The columns of other relations at the leaves of a column's tree."""
    found: set[Column] = set()
    for leaf in node.walk():
        table = leaf.expression.find(exp.Table)
        if not leaf.downstream and table is not None and f"{table.db}.{table.name}" != relation:
            found.add((f"{table.db}.{table.name}", exp.to_column(leaf.name).name))
    return found


def _relation(node: Mapping[str, Any]) -> str:
    return f"{node['schema']}.{node['name']}"


def _seeds(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (node for node in manifest["nodes"].values() if node["resource_type"] == "seed")


def _seed_columns(project: Path, seed: Mapping[str, Any]) -> tuple[str, ...]:
    with (project / seed["original_file_path"]).open() as file:
        return tuple(file.readline().strip().split(","))


def _stale_keys(project: Path) -> dict[str, Any]:
    declared: dict[str, Any] = yaml.safe_load((project / "dbt_project.yml").read_text())["vars"]["stale_keys"]
    return declared
