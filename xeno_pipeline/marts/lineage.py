"""The lineage of columns: from which columns of other relations each is computed."""

from __future__ import annotations

from collections.abc import Iterator

Column = tuple[str, str]
"""A relation with its schema, `raw.order_sales`, and a column of it."""

Lineage = dict[str, dict[str, list[Column]]]
"""By relation and column, the columns of other relations that it is computed from."""


def origins(found: Lineage, column: Column) -> set[Column]:
    """The columns that are computed from no others, and that a column comes from in the end."""
    return set(_origins(found, column, set()))


def _origins(found: Lineage, column: Column, seen: set[Column]) -> Iterator[Column]:
    if column in seen:
        return
    seen.add(column)
    relation, name = column
    if relation not in found:
        yield column
    for upstream in found.get(relation, {}).get(name, ()):
        yield from _origins(found, upstream, seen)
