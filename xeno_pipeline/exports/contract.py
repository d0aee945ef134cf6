"""The contract of the marts: their columns, types and descriptions, as the dbt project declares them.

Read from the models' YAML files in a few milliseconds: dbt itself takes seconds to import, and the database may have
the columns in another order, since those that were added later come last there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from xeno_pipeline.errors import UsageError
from xeno_pipeline.settings import PROJECT_DIR

_MODELS = PROJECT_DIR / "dbt_project" / "models"
_DOCS_BLOCK = re.compile(r"{%\s*docs\s+(\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.DOTALL)
_DOC = re.compile(r"{{\s*doc\(\s*'(\w+)'\s*\)\s*}}")
_DATE_COLUMN = "date_column"
"""The key in a model's `meta` that names the column by which its rows are dated."""

_PERSONAL = "personal"
"""The key in a column's `meta` that marks personal data."""


class UnknownMartError(UsageError):
    """No mart has this name."""


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Args:
        name: as in SQL.
        type: PostgreSQL's name of its type without spaces: `bigint`, `numeric(20,4)`, `text[]`.
        description: a sentence or two.
        is_personal: whether it says who a person is, or how to reach them.
    """

    name: str
    type: str
    description: str
    is_personal: bool


@dataclass(frozen=True)
class Mart:
    """A mart, as BI tools and exports may rely on it.

    Args:
        name: of the relation in the schema `marts`.
        description: a sentence or two.
        columns: in the contract's order.
        key: the columns besides `tenant_id` that identify a row.
        dated_by: the column by which its rows are dated; None where there is none.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    dated_by: Column | None

    @property
    def is_personal(self) -> bool:
        """Whether it has columns that say who a person is."""
        return any(column.is_personal for column in self.columns)

    def has(self, column: str) -> bool:
        """Whether it has a column of that name."""
        return any(each.name == column for each in self.columns)


def find_mart(name: str) -> Mart:
    """The mart of that name.

    Raises:
        UnknownMartError: there is none.
    """
    marts = read_marts()
    if name in marts:
        return marts[name]
    near = get_close_matches(name.removeprefix("marts."), marts, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(sorted(marts))}."
    raise UnknownMartError(f"There is no mart {name[:100]!r}. {hint}")


@cache
def read_marts() -> Mapping[str, Mart]:
    """All marts of this version, by name."""
    docs = dict(_read_docs())
    models = [_read_mart(model, docs) for path in sorted((_MODELS / "marts").rglob("*.yml")) for model in _models(path)]
    return {mart.name: mart for mart in models}


def _read_docs() -> Iterator[tuple[str, str]]:
    for path in _MODELS.rglob("*.md"):
        yield from ((name, text.strip()) for name, text in _DOCS_BLOCK.findall(path.read_text()))


def _models(path: Path) -> list[dict[str, Any]]:
    document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
    models: list[dict[str, Any]] = document.get("models", [])
    return models


def _read_mart(model: Mapping[str, Any], docs: Mapping[str, str]) -> Mart:
    columns = tuple(
        Column(
            name=each["name"],
            type=each["data_type"].replace(" ", ""),
            description=_describe(each["description"], docs),
            is_personal=_meta(each).get(_PERSONAL, False),
        )
        for each in model["columns"]
    )
    dated_by = _meta(model).get(_DATE_COLUMN)
    return Mart(
        name=model["name"],
        description=_describe(model["description"], docs),
        columns=columns,
        key=tuple(column for column in _key(model) if column != "tenant_id"),
        dated_by=next(column for column in columns if column.name == dated_by) if dated_by else None,
    )


def _meta(element: Mapping[str, Any]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = element.get("config", {}).get("meta", {})
    return meta


def _key(model: Mapping[str, Any]) -> list[str]:
    """The columns that identify a row: a table's primary key, or what a test finds unique in a view."""
    keys: list[list[str]] = [each["columns"] for each in model.get("constraints", []) if each["type"] == "primary_key"]
    tests = [test for test in model.get("data_tests", []) if isinstance(test, dict)]
    keys += [test["unique_together"]["arguments"]["columns"] for test in tests if "unique_together" in test]
    return keys[0] if keys else []


def _describe(text: str, docs: Mapping[str, str]) -> str:
    return _DOC.sub(lambda found: docs[found[1]], text).strip()
