"""Tables as CSV: the figures as they are, to the last digit, for programs to read."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from types import NoneType
from typing import Any

from starlette.responses import Response

from xeno_pipeline.insights.model import Model

CSV = "text/csv; charset=utf-8"

_WRITTEN_AS_THEY_ARE = (int, float, NoneType)
"""By the library, as others would be here; most values are of these types, and a file may have millions."""

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A file.

    Args:
        name: of the file, without its extension.
        rows: each with as many values as there are columns.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(csv_text([columns, *rows]), media_type=CSV, headers=headers)


def csv_of(name: str, item: type[Model], rows: Iterable[Model], *, without: Collection[str] = ()) -> Response:
    """Answers as a file.

    Args:
        name: of the file, without its extension.
        item: what the rows are; its fields are the columns.
        without: fields that are left out.
    """
    columns = columns_of(item, without)
    return csv_response(name, columns, values_of(rows, columns))


def columns_of(item: type[Model], without: Collection[str] = ()) -> list[str]:
    """The fields of answers that become columns."""
    return [name for name in item.model_fields if name not in without]


def values_of(rows: Iterable[Model], columns: Sequence[str]) -> Iterator[list[Any]]:
    """The values of some columns, row by row."""
    return ([getattr(row, column) for column in columns] for row in rows)


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows, as lines of a file."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerows(
        [value if type(value) in _WRITTEN_AS_THEY_ARE else _written(value) for value in row] for row in rows
    )
    return buffer.getvalue()


def _written(value: Any) -> str:
    if isinstance(value, str):
        # A spreadsheet would run it as a formula, and a customer may have written it as their name.
        return f"'{value}" if value.startswith(_STARTS_FORMULA) else value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _written(", ".join(map(str, value)))
    return str(value)
