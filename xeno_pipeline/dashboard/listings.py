"""Lists of the pages: their downloads, which take all pages of a list, and the sorts of their columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack

from starlette.responses import Response

from xeno_pipeline.dashboard.downloads import CSV, columns_of, csv_of, csv_text, values_of
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.model import Model
from xeno_pipeline.insights.paging import MAX_ROWS, Item, Page
from xeno_pipeline.web.downloads import Download, one_download


def download_all(
    visit: StoreVisit,
    name: str,
    item: type[Model],
    read: Callable[[StoreVisit, str | None, int], Page[Item]],
    *,
    without: Collection[str] = (),
) -> Response:
    """All rows of a list as a file, sent while they are read.

    Each page of the list is read in a transaction of its own, so that a slow client holds no connection, and somebody
    whose session ends gets no further.

    Args:
        name: of the file, without the store and its extension.
        read: a page, for a visit, by its cursor and with as many rows at most.
        without: fields of the rows that are left out.

    Raises:
        TooManyDownloadsError: as many as may be are under way.
    """
    name = f"{visit.tenant_id}-{name}"
    first = read(visit, None, MAX_ROWS)
    if first.next is None:
        return csv_of(name, item, first.data, without=without)
    columns = columns_of(item, without)

    def chunks() -> Iterator[bytes]:
        page = first
        yield csv_text([columns, *values_of(page.data, columns)]).encode()
        while page.next is not None:
            with visit.again() as another:
                page = read(another, page.next, MAX_ROWS)
            yield csv_text(values_of(page.data, columns)).encode()

    with ExitStack() as held:
        held.enter_context(one_download())
        return Download(chunks(), held.pop_all(), name=f"{name}.csv", media_type=CSV, headers={})


def other_direction(sort: str, column: str) -> str:
    """The sort that a click on a column's head asks for: descending first, then ascending."""
    return column if sort == f"-{column}" else f"-{column}"
