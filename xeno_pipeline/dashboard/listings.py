"""Lists of the pages: their downloads, which take all pages of a list, and the sorts of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.responses import Response

from xeno_pipeline.dashboard.downloads import csv_response
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.model import Model
from xeno_pipeline.insights.paging import MAX_LIMIT, Item, Page

MOST_DOWNLOADED = 20_000
"""Rows of a file that a page makes while its reader waits."""


def download_all(
    visit: StoreVisit, name: str, item: type[Model], read: Callable[[str | None, int], Page[Item]]
) -> Response:
    """All rows of a list as a file.

    Args:
        read: a page, by its cursor and with as many rows at most.

    Raises:
        UsageError: they are too many for a file from a page.
    """
    rows: list[Item] = []
    cursor: str | None = None
    while len(rows) <= MOST_DOWNLOADED:
        page = read(cursor, MAX_LIMIT)
        rows += page.data
        cursor = page.next
        if cursor is None:
            return csv_response(f"{visit.tenant_id}-{name}", tuple(item.model_fields), map(_values(item), rows))
    text = visit.text(
        "The list has more than %(rows)s rows, too many for a file from here: narrow it, or take the whole table by "
        "the API or with `xeno export`."
    )
    raise UsageError(text % {"rows": visit.formats.number(MOST_DOWNLOADED)})


def other_direction(sort: str, column: str) -> str:
    """The sort that a click on a column's head asks for: descending first, then ascending."""
    return column if sort == f"-{column}" else f"-{column}"


def _values(item: type[Model]) -> Callable[[Model], Sequence[object]]:
    return lambda row: [getattr(row, name) for name in item.model_fields]
