"""Tables as CSV: the figures as they are, to the last digit, for programs to read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A file.

    Args:
        name: of the file, without its extension.
        rows: each with as many values as there are columns.
    """
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows([_written(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.csv"}
    return Response(buffer.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    text = str(value)
    # A spreadsheet would run it as a formula, and a customer may have written it as their name.
    return f"'{text}" if isinstance(value, str) and text.startswith(_STARTS_FORMULA) else text
