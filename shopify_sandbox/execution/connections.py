"""Connections: pages of a sorted, filtered table, and of the lists inside a document.

Cursors are what was recorded: base64 of JSON with the last object's id and sort value. So they stay valid when
the store changes, an object that moved included.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from shopify_sandbox.errors import ApiError
from shopify_sandbox.model.money import Document
from shopify_sandbox.search.filters import DocumentTest
from shopify_sandbox.search.selection import UnsupportedError, select
from shopify_sandbox.state.store import Store
from shopify_sandbox.state.table import Rows

MAX_PAGE = 250
MAX_OBJECTS = 25_000
KINDS = {
    "orders": "Order",
    "customers": "Customer",
    "products": "Product",
    "abandonedCheckouts": "AbandonedCheckout",
}
_SORT_COLUMNS = {
    "ID": "id",
    "CHECKOUT_ID": "id",
    "ORDER_NUMBER": "id",
    "CREATED_AT": "created_at",
    "UPDATED_AT": "updated_at",
    "PROCESSED_AT": "processed_at",
}
_CHUNK = 512


@dataclass
class Window:
    """Which part of a connection is asked for."""

    first: int | None = None
    last: int | None = None
    after: str | None = None
    before: str | None = None
    reverse: bool = False

    def check(self) -> None:
        """Refuse what Shopify refuses."""
        if self.first is None and self.last is None:
            raise ApiError("you must provide one of first or last")
        if self.first is not None and self.last is not None:
            raise ApiError("providing both first and last is not supported")
        for name, size in (("first", self.first), ("last", self.last)):
            if size is not None and size < 0:
                raise ApiError(f"{name} must be greater than or equal to 0")
            if size is not None and size > MAX_PAGE:
                raise ApiError(f"{name} cannot exceed {MAX_PAGE}")

    def cut(self, length: int, after: int, before: int) -> tuple[int, int]:
        """The first and last positions of the page, given where the cursors stand (exclusive ends)."""
        start, end = max(0, after), min(length, before)
        if self.first is not None:
            return start, max(start, min(end, start + self.first))
        return max(start, end - (self.last or 0)), max(start, end)


def page(nodes: list[Document], *, more: bool, end_cursor: str | None) -> Document:
    """A connection as GraphQL answers it."""
    return {
        "nodes": nodes,
        "edges": [{"node": node} for node in nodes],
        "pageInfo": {"hasNextPage": more, "endCursor": end_cursor},
    }


def encode_cursor(last_id: int, last_value: Any) -> str:
    """A cursor of the recorded form."""
    return base64.b64encode(orjson.dumps({"last_id": last_id, "last_value": last_value})).decode()


def _decode_cursor(cursor: str) -> tuple[int, Any]:
    try:
        content = orjson.loads(base64.b64decode(cursor, validate=True))
        return int(content["last_id"]), content["last_value"]
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise ApiError("Invalid cursor for current pagination sort.") from None


class Listing:
    """The rows that a connection of a store has, in order."""

    def __init__(self, store: Store, connection: str, query: str | None, sort_key: str = "ID") -> None:
        self.store = store
        self.connection = connection
        self.kind = KINDS[connection.removesuffix("Count")]
        self.table = store.tables[self.kind]
        if sort_key not in _SORT_COLUMNS:
            raise UnsupportedError(f"Sorting {connection} by {sort_key} is not part of this sandbox.")
        self.column = _SORT_COLUMNS[sort_key]
        selection = select(connection, query, self.table, store.clock())
        rows = store.visible(self.kind, self.table.sorted_by(self.column))
        if selection.columns is not None:
            rows = rows[selection.columns(self.table.columns, rows)]
        self.rows: Rows = rows
        self.test: DocumentTest | None = selection.documents
        self.warnings = selection.warnings
        self.parsed = selection.parsed

    def documents(self, rows: Rows | None = None) -> Iterator[tuple[int, Document]]:
        """Rows with their documents, one after the other, without those that the search leaves out."""
        for row in (self.rows if rows is None else rows).tolist():
            document = self.store.document(self.kind, row)
            if self.test is None or self.test(document):
                yield row, document

    def count(self, limit: int | None) -> tuple[int, bool]:
        """How many there are, counted up to a limit, and whether the limit cut it short."""
        limit = None if limit is None else max(limit, 0)
        if self.test is None:
            found = len(self.rows)
        else:
            found = 0
            for found, _ in enumerate(self.documents(), start=1):
                if limit is not None and found > limit:
                    break
        return (found, False) if limit is None or found <= limit else (limit, True)

    def page(self, window: Window) -> Document:
        """One page.

        Raises:
            ApiError: As Shopify answers a bad window or cursor, or one beyond the 25,000th object.
        """
        window.check()
        rows = self.rows[::-1] if window.reverse else self.rows
        after = 0 if window.after is None else self._position(window.after, reverse=window.reverse, past=True)
        before = len(rows) if window.before is None else self._position(window.before, reverse=window.reverse)
        if window.last is not None:
            return self._page_backwards(rows, window, after, before)
        if after >= MAX_OBJECTS and self._reached(rows[:after]) >= MAX_OBJECTS:
            raise ApiError(f"Paging ends at {MAX_OBJECTS} objects: narrow the query down.", "PAGINATION_LIMIT_EXCEEDED")
        wanted = (window.first or 0) + 1
        found = []
        for found_row in self.documents(rows[after:before]):
            found.append(found_row)
            if len(found) == wanted:
                break
        return self._as_page(found[: wanted - 1], more=len(found) == wanted or before < len(rows))

    def _page_backwards(self, rows: Rows, window: Window, after: int, before: int) -> Document:
        found = list(self.documents(rows[after:before])) if self.test else None
        if found is None:
            start = max(after, before - (window.last or 0))
            found = list(self.documents(rows[start:before]))
        return self._as_page(found[len(found) - min(len(found), window.last or 0) :], more=before < len(rows))

    def _as_page(self, found: list[tuple[int, Document]], *, more: bool) -> Document:
        cursor = None
        if found:
            last = found[-1][0]
            value = int(self.table.columns[self.column][last])
            number = int(self.table.columns["id"][last])
            cursor = encode_cursor(number, str(value) if self.column == "id" else value * 1000)
        return page([document for _, document in found], more=more, end_cursor=cursor)

    def _reached(self, rows: Rows) -> int:
        return len(rows) if self.test is None else sum(1 for _ in self.documents(rows))

    def _position(self, cursor: str, *, reverse: bool, past: bool = False) -> int:
        """Where a cursor's object stands (or would stand), or the position past it."""
        number, last_value = _decode_cursor(cursor)
        try:
            value = int(last_value) if self.column == "id" else int(last_value) // 1000
        except (TypeError, ValueError):
            raise ApiError("Invalid cursor for current pagination sort.") from None
        values = self.table.columns[self.column][self.rows]
        first = int(np.searchsorted(values, value, "left"))
        ids = self.table.columns["id"][self.rows[first : np.searchsorted(values, value, "right")]]
        position = first + int(np.searchsorted(ids, number, "right" if past != reverse else "left"))
        return len(self.rows) - position if reverse else position


def list_page(documents: list[Document], window: Window) -> Document:
    """One page of a list inside a document, whose order never changes."""
    window.check()
    ordered = documents[::-1] if window.reverse else documents
    ids = {document["id"]: position for position, document in enumerate(ordered)}

    def position(cursor: str) -> int:
        _, identity = _decode_cursor(cursor)
        if identity not in ids:
            raise ApiError("Invalid cursor for current pagination sort.")
        return ids[identity]

    after = 0 if window.after is None else position(window.after) + 1
    before = len(ordered) if window.before is None else position(window.before)
    start, end = window.cut(len(ordered), after, before)
    nodes = ordered[start:end]
    cursor = None
    if nodes:
        last = nodes[-1]["id"]
        cursor = encode_cursor(int(last.rpartition("/")[2]), last)
    return page(nodes, more=end < len(ordered), end_cursor=cursor)
