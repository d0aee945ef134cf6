"""Lists a page at a time: key-set pagination by a sort column and a key, in either direction.

A page begins after the last row of the one before, by its values and not by a count, so rows that come or go between
two pages shift nothing. Rows without a value come last where values descend and first where they ascend; they are read
by a query of their own, so that each of the two follows an index.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

import orjson
from psycopg.rows import dict_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.model import Model

MAX_LIMIT = 500
"""Of a page that a client asks for."""

MAX_ROWS = 5_000
"""Of a page that is read for a file: some lists cost as much for a row as for all of them."""

DEFAULT_LIMIT = 50

Item = TypeVar("Item", bound=Model)
Row = dict[str, Any]

_MAX_CURSOR_CHARACTERS = 1_000
_BIGINT = 2**63


class UnusableCursorError(UsageError):
    """A cursor that is none of this list's."""


class UnknownSortError(UsageError):
    """A list is not sorted by that."""


class UnusableLimitError(UsageError):
    """A page cannot have as many rows."""


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some rows of a list.

    Args:
        data: the rows, in order.
        next: the cursor of the page after; None after the last.
    """

    data: list[Item]
    next: str | None


@dataclass(frozen=True)
class Listing:
    """A list that can be read by pages.

    Args:
        name: what cursors of it say that they are of.
        source: the mart, or the table under it.
        key: the column that tells a tenant's rows apart.
        key_type: its type in PostgreSQL.
        sorts: the columns that it can be sorted by, and their types.
        default: how it is sorted where nothing is said.
        columns: what is read of each row besides the key and what it is sorted by.
    """

    name: str
    source: str
    key: str
    key_type: str
    sorts: Mapping[str, str]
    default: str
    columns: Sequence[str] = ()

    def sort_names(self) -> list[str]:
        """What may be asked for: a column, or a hyphen and the column for descending values."""
        return [f"{sign}{column}" for column in self.sorts for sign in ("", "-")]


@dataclass
class Where:
    """Conditions of a query, and what is bound to them."""

    conditions: list[str] = field(default_factory=list)
    bound: dict[str, Any] = field(default_factory=dict)

    def add(self, condition: str, **bound: Any) -> None:
        """Add a condition with its values."""
        self.conditions.append(condition)
        self.bound |= bound

    def add_if_given(self, condition: str, **bound: Any) -> None:
        """Add a condition unless its value is None."""
        if None not in bound.values():
            self.add(condition, **bound)


def read_page(
    connection: Connection,
    listing: Listing,
    tenant_id: str,
    make: Callable[[list[Row]], list[Item]],
    where: Where,
    *,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Item]:
    """A page of a list.

    Args:
        make: the answers for the page's rows.
        where: which rows the list has, besides the tenant's.
        sort: one of the list's sorts; None for its default.
        cursor: that of the page; None for the first.
        limit: rows at most, 1 to MAX_ROWS.

    Raises:
        UnknownSortError: the list is not sorted by that.
        UnusableCursorError: the cursor is none of this list and sort.
        UnusableLimitError: the limit is out of bounds.
    """
    if not 1 <= limit <= MAX_ROWS:
        raise UnusableLimitError(f"A page cannot have {limit} rows: ask for 1 to {MAX_ROWS}.")
    order = _Order.of(listing, sort or listing.default)
    after = order.read_cursor(cursor) if cursor is not None else None
    rows: list[Row] = []
    columns = ", ".join(dict.fromkeys((order.column, listing.key, *listing.columns)))
    for condition, bound in order.branches(after):
        query = f"""
            select {columns} from {listing.source} listed
            where {" and ".join(["tenant_id = %(tenant_id)s", *where.conditions, condition])}
            order by {order.by} limit %(limit)s
            """
        values = {**where.bound, **bound, "tenant_id": tenant_id, "limit": limit + 1 - len(rows)}
        rows += connection.cursor(row_factory=dict_row).execute(query, values).fetchall()
        if len(rows) > limit:
            break
    page = rows[:limit]
    return Page(make(page), order.write_cursor(page[-1]) if len(rows) > limit else None)


@dataclass(frozen=True)
class _Order:
    """How a list is sorted, and where in it a page begins."""

    listing: Listing
    sort: str
    column: str

    @classmethod
    def of(cls, listing: Listing, sort: str) -> _Order:
        if sort not in listing.sort_names():
            names = ", ".join(listing.sort_names())
            raise UnknownSortError(f"The list {listing.name} is not sorted by {sort[:60]!r}: choose from {names}.")
        return cls(listing, sort, sort.removeprefix("-"))

    @property
    def _descends(self) -> bool:
        return self.sort.startswith("-")

    @property
    def by(self) -> str:
        direction = " desc" if self._descends else ""
        return ", ".join(f"{column}{direction}" for column in dict.fromkeys((self.column, self.listing.key)))

    def branches(self, after: tuple[Any, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The conditions of the queries that make up the list from a row on, in order."""
        sign, column, key = ("<" if self._descends else ">"), self.column, self.listing.key
        if column == key:
            yield self._after_key(after, "true")
            return
        with_value, without = f"{column} is not null", f"{column} is null"
        if after is None:
            yield from [(with_value, {}), (without, {})] if self._descends else [(without, {}), (with_value, {})]
        elif after[0] is None:
            yield self._after_key(after, without)
            if not self._descends:
                yield with_value, {}
        else:
            value = f"%(after_value)s::{self.listing.sorts[column]}"
            condition = f"({column}, {key}) {sign} ({value}, %(after_key)s::{self.listing.key_type})"
            yield condition, {"after_value": after[0], "after_key": after[1]}
            if self._descends:
                yield without, {}

    def _after_key(self, after: tuple[Any, Any] | None, condition: str) -> tuple[str, dict[str, Any]]:
        if after is None:
            return condition, {}
        sign, key = ("<" if self._descends else ">"), self.listing.key
        return f"{condition} and {key} {sign} %(after_key)s::{self.listing.key_type}", {"after_key": after[1]}

    def write_cursor(self, row: Row) -> str:
        """The cursor of the page after a row."""
        place = [self.listing.name, self.sort, _written(row[self.column]), _written(row[self.listing.key])]
        return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")

    def read_cursor(self, cursor: str) -> tuple[Any, Any]:
        """The sort value and the key of the row that a page comes after."""
        unusable = UnusableCursorError(
            f"This cursor is none of the list {self.listing.name} sorted by {self.sort}: "
            "take `next` of the page before, with the same sort, or leave it out for the first page."
        )
        try:
            if len(cursor) > _MAX_CURSOR_CHARACTERS:
                raise unusable
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, sort, value, key = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if (name, sort) != (self.listing.name, self.sort) or key is None:
                raise unusable
            return (
                _read(value, self.listing.sorts.get(self.column, self.listing.key_type)),
                _read(key, self.listing.key_type),
            )
        except (ValueError, TypeError, binascii.Error, InvalidOperation, OverflowError):
            raise unusable from None


def _written(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date) else str(value)


def _read(text: Any, kind: str) -> Any:
    """A value of a cursor.

    Raises:
        ValueError, TypeError, InvalidOperation: it is no value of that type.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError
    if kind == "bigint":
        number = int(text)
        if not -_BIGINT <= number < _BIGINT:
            raise ValueError
        return number
    if kind == "numeric":
        amount = Decimal(text)
        if not amount.is_finite() or abs(amount) > 10**20:
            raise ValueError
        return amount
    if kind == "timestamptz":
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError
        return instant
    if kind == "date":
        return date.fromisoformat(text)
    return usable_text(text)


def usable_text(text: str) -> str:
    """A text that PostgreSQL takes.

    Raises:
        ValueError: it has a NUL, or half of a surrogate pair.
    """
    if "\0" in text:
        raise ValueError
    text.encode()
    return text
