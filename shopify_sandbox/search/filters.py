"""The filters of each connection: which the API documents, and what those that have data here match.

A filter that the API does not document is ignored with a warning, as Shopify does. One that it documents and this
store has no data for raises `UnsupportedError`: it must never be ignored in silence.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopify_sandbox.model.money import Document
from shopify_sandbox.model.times import instant, start_of_day
from shopify_sandbox.search.syntax import All, Not, Search, Term, echo, parse_search, terms
from shopify_sandbox.state.source import Columns
from shopify_sandbox.state.table import Rows, Table


class UnsupportedError(Exception):
    """The API documents it, this sandbox does not play it. Answered with HTTP 501."""


class InvalidValueError(ValueError):
    """A filter's value is none that it accepts."""


class Clock(NamedTuple):
    """What written times mean: the shop's zone, and the instant of `now`."""

    zone: ZoneInfo
    now: int


Mask = NDArray[np.bool_]
RowTest = Callable[[Columns, Rows], Mask]
DocumentTest = Callable[[Document], bool]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ":": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@lru_cache
def documented_fields() -> dict[str, frozenset[str]]:
    """By connection (`orders`, `Order.agreements`, …), the filters that Shopify's schema documents."""
    data = resources.files("shopify_sandbox").joinpath("data/search_fields.json").read_text()
    return {name: frozenset(fields) for name, fields in json.loads(data).items()}


# -- values


def _period(text: str, clock: Clock) -> tuple[int, int]:
    """The instants a written time covers, from and up to but not including: a second, a day, a month or a year."""
    if text.lower() == "now":
        return clock.now, clock.now + 1
    written = re.fullmatch(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?", text)
    try:
        if written:
            year, month, day = int(written[1]), int(written[2] or 1), int(written[3] or 1)
            first = date(year, month, day)
            if written[3]:
                after = first + timedelta(days=1)
            elif written[2]:
                after = (first + timedelta(days=31)).replace(day=1)
            else:
                after = date(year + 1, 1, 1)
            return start_of_day(first, clock.zone), start_of_day(after, clock.zone)
        moment = datetime.fromisoformat(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=clock.zone)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValueError(text) from None
    return math.ceil(stamp), math.floor(stamp) + 1


def _whole_days(period: tuple[int, int], zone: ZoneInfo) -> tuple[int, int]:
    first = datetime.fromtimestamp(period[0], UTC).astimezone(zone).date()
    last = datetime.fromtimestamp(period[1] - 1, UTC).astimezone(zone).date()
    return start_of_day(first, zone), start_of_day(last + timedelta(days=1), zone)


def _number(value: str) -> int:
    """An id: a number, or a gid that ends in one."""
    found = re.fullmatch(r"(?:gid://shopify/\w+/)?(\d{1,19})", value.strip())
    if found is None or int(found[1]) >= 2**63:
        raise InvalidValueError(value)
    return int(found[1])


def _decimal(value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidValueError(value) from None
    if not number.is_finite():
        raise InvalidValueError(value)
    return number


def _truth(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidValueError(value)
    return value.lower() == "true"


def _listed(value: str) -> list[str]:
    """The values of a comma-separated list, folded for comparison."""
    return [part.strip().casefold() for part in value.split(",")]


def _ends(term: Term) -> list[tuple[str, str]]:
    """The comparisons of a term: one, or two where the value is a range `from..to`."""
    first, dots, last = term.value.strip().partition("..")
    return [(">=", first), ("<=", last)] if dots else [(term.operator, first)]


def _in_period(values: Any, comparison: str, period: tuple[int, int]) -> Any:
    first, after = period
    if comparison == ":":
        return (values >= first) & (values < after)
    return _COMPARE[comparison](values, first if comparison in (">=", "<") else after - 1)


# -- filters on columns


def _time_column(column: str, *, whole_days: bool = False) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, clock: Clock) -> RowTest:
        bounds = [(comparison, _period(value, clock)) for comparison, value in _ends(term)]
        if whole_days:
            bounds = [(comparison, _whole_days(period, clock.zone)) for comparison, period in bounds]
        return lambda columns, rows: np.logical_and.reduce(
            [_in_period(columns[column][rows], comparison, period) for comparison, period in bounds]
        )

    return build


def _number_column(column: str) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, _clock: Clock) -> RowTest:
        if term.operator == ":" and ".." not in term.value:
            wanted = np.array([_number(part) for part in term.value.split(",")], dtype=np.int64)
            return lambda columns, rows: np.isin(columns[column][rows], wanted)
        bounds = [(_COMPARE[comparison], _number(value)) for comparison, value in _ends(term)]
        return lambda columns, rows: np.logical_and.reduce(
            [compare(columns[column][rows], bound) for compare, bound in bounds]
        )

    return build


def _flag_column(column: str) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, _clock: Clock) -> RowTest:
        wanted = _truth(term.value)
        return lambda columns, rows: columns[column][rows] == wanted

    return build


_ID_AND_TIMES = {
    "id": _number_column("id"),
    "created_at": _time_column("created_at"),
    "updated_at": _time_column("updated_at"),
}
_COLUMN_FILTERS: dict[str, dict[str, Callable[[Term, Clock], RowTest]]] = {
    "orders": _ID_AND_TIMES
    | {
        "processed_at": _time_column("processed_at"),
        "customer_id": _number_column("customer_id"),
        "test": _flag_column("test"),
    },
    # The schema: "The date and time, matching a whole day, when the customer's information was last updated."
    "customers": {
        "id": _number_column("id"),
        "customer_date": _time_column("created_at"),
        "updated_at": _time_column("updated_at", whole_days=True),
    },
    "customersCount": _ID_AND_TIMES,
    "products": _ID_AND_TIMES,
    "abandonedCheckouts": _ID_AND_TIMES,
}


# -- filters on documents


def _matches(found: str | None, wanted: list[str]) -> bool:
    """Whether a text is (case aside) one of some values; `*` matches any, `abc*` whatever begins so."""
    folded = (found or "").casefold()
    return found is not None and any(
        folded == value or (value.endswith("*") and folded.startswith(value[:-1])) for value in wanted
    )


def _texts(read: Callable[[Document], list[str | None]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = [*_listed(term.value), term.value.casefold()]
        return lambda document: any(_matches(found, wanted) for found in read(document))

    return build


def _text(*path: str) -> Callable[[Term, Clock], DocumentTest]:
    def read(document: Document) -> list[str | None]:
        found: Any = document
        for name in path:
            found = found and found[name]
        return [found]

    return _texts(read)


def _child_text(connection: str, name: str) -> Callable[[Term, Clock], DocumentTest]:
    return _texts(lambda document: [child[name] for child in document[connection]])


def _no_text(read: Callable[[Document], list[str | None]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, clock: Clock) -> DocumentTest:
        found = _texts(read)(term, clock)
        return lambda document: not found(document)

    return build


def _state(
    read: Callable[[Document], str | None], states: str, **aliases: str
) -> Callable[[Term, Clock], DocumentTest]:
    """One of a few states, in lower case here; some have a second name, and `any` is all of them."""

    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = {aliases.get(value, value) for value in _listed(term.value)}
        if not wanted <= {"any", *states.split()}:
            raise InvalidValueError(term.value)
        return lambda document: "any" in wanted or (read(document) or "").lower() in wanted

    return build


def _enum(name: str, states: str, **aliases: str) -> Callable[[Term, Clock], DocumentTest]:
    return _state(lambda document: document[name], states, **aliases)


def _amounts(read: Callable[[Document], list[str]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        bounds = [(_COMPARE[comparison], _decimal(value)) for comparison, value in _ends(term)]
        return lambda document: any(
            all(compare(Decimal(amount), bound) for compare, bound in bounds) for amount in read(document)
        )

    return build


def _boolean(read: Callable[[Document], bool]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = _truth(term.value)
        return lambda document: read(document) is wanted

    return build


def _ids(read: Callable[[Document], list[str]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        bounds = [(_COMPARE[comparison], _number(value)) for comparison, value in _ends(term)]
        return lambda document: any(
            all(compare(_number(number), bound) for compare, bound in bounds) for number in read(document)
        )

    return build


def _time(name: str) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, clock: Clock) -> DocumentTest:
        bounds = [(comparison, _period(value, clock)) for comparison, value in _ends(term)]

        def test(document: Document) -> bool:
            moment = instant(datetime.fromisoformat(document[name]))
            return all(_in_period(moment, comparison, period) for comparison, period in bounds)

        return test

    return build


def _tags(document: Document) -> list[str | None]:
    return list(document["tags"])


def _order_state(order: Document) -> str:
    return "cancelled" if order["cancelledAt"] else "closed" if order["closedAt"] else "open"


def _order_status(term: Term, clock: Clock) -> DocumentTest:
    if term.value.strip().lower() == "not_closed":
        return lambda order: _order_state(order) != "closed"
    return _state(_order_state, "open closed cancelled")(term, clock)


_DOCUMENT_FILTERS: dict[str, dict[str, Callable[[Term, Clock], DocumentTest]]] = {
    "orders": {
        "cart_token": _text("cartToken"),
        "checkout_token": _text("checkoutToken"),
        "current_total_price": _amounts(lambda order: [order["currentTotalPriceSet"]["shopMoney"]["amount"]]),
        "discount_code": _texts(lambda order: order["discountCodes"][:1]),
        "financial_status": _enum(
            "displayFinancialStatus",
            "paid pending authorized partially_paid partially_refunded refunded voided expired",
        ),
        "fulfillment_status": _enum(
            "displayFulfillmentStatus",
            "fulfilled partially_fulfilled scheduled on_hold unfulfilled request_declined",
            unshipped="unfulfilled",
            shipped="fulfilled",
            partial="partially_fulfilled",
        ),
        "gateway": _child_text("transactions", "gateway"),
        # Recorded: `name:1494` finds the order named "#1494".
        "name": _texts(lambda order: [order["name"], order["name"].removeprefix("#")]),
        "sku": _child_text("lineItems", "sku"),
        "source_name": _text("sourceName"),
        "status": _order_status,
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
    },
    "customers": {
        "accepts_marketing": _boolean(
            lambda customer: (customer["defaultEmailAddress"] or {}).get("marketingState") == "SUBSCRIBED"
        ),
        "country": _text("defaultAddress", "countryCodeV2"),
        "email": _text("defaultEmailAddress", "emailAddress"),
        "first_name": _text("firstName"),
        "last_name": _text("lastName"),
        "orders_count": _amounts(lambda customer: [customer["numberOfOrders"]]),
        "phone": _text("defaultPhoneNumber", "phoneNumber"),
        "state": _enum("state", "enabled invited disabled declined"),
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
    },
    "products": {
        "barcode": _child_text("variants", "barcode"),
        "gift_card": _boolean(lambda product: product["isGiftCard"]),
        "handle": _text("handle"),
        "price": _amounts(lambda product: [variant["price"] for variant in product["variants"]]),
        "product_type": _text("productType"),
        "sku": _child_text("variants", "sku"),
        "status": _enum("status", "active archived draft unlisted"),
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
        "title": _text("title"),
        "variant_id": _ids(lambda product: [variant["id"] for variant in product["variants"]]),
        "variant_title": _child_text("variants", "title"),
        "vendor": _text("vendor"),
    },
    "abandonedCheckouts": {
        "recovery_state": _state(
            lambda checkout: "recovered" if checkout["completedAt"] else "not_recovered", "recovered not_recovered"
        ),
        "status": _state(lambda checkout: "closed" if checkout["completedAt"] else "open", "open closed"),
    },
    "Order.agreements": {"id": _ids(lambda agreement: [agreement["id"]]), "happened_at": _time("happenedAt")},
    "bulkOperations": {
        "id": _ids(lambda operation: [operation["id"]]),
        "created_at": _time("createdAt"),
        "operation_type": _enum("type", "query mutation"),
        "status": _enum("status", "canceled canceling completed created expired failed running"),
    },
}


# -- selections


@dataclass
class Selection:
    """What a `query:` argument asks for."""

    columns: RowTest | None = None
    """The part that columns decide: cheap, for any number of rows at once."""
    documents: DocumentTest | None = None
    """The part that needs each row's document."""
    warnings: list[dict[str, str]] = field(default_factory=list)
    """What of it Shopify ignores."""
    parsed: dict[str, Any] | None = None
    """The echo of the search."""


class _Builder:
    """Builds the tests of one search."""

    def __init__(self, connection: str, clock: Clock) -> None:
        self.connection = connection
        root = connection.removesuffix("Count")
        self.by_column = _COLUMN_FILTERS.get(connection, _COLUMN_FILTERS.get(root, {}))
        self.by_document = _DOCUMENT_FILTERS.get(root, {})
        self.clock = clock
        self.row_tests: dict[Term, RowTest] = {}
        self.document_tests: dict[Term, DocumentTest] = {}
        self.warnings: list[dict[str, str]] = []

    def accept(self, search: Search) -> Search | None:
        """The search without what Shopify ignores: fields it does not document, values that are none."""
        if isinstance(search, Term):
            return search if self._accept_term(search) else None
        if isinstance(search, Not):
            operand = self.accept(search.operand)
            return None if operand is None else Not(operand)
        kept = tuple(kept for operand in search.operands if (kept := self.accept(operand)) is not None)
        return type(search)(kept) if kept else None

    def _accept_term(self, term: Term) -> bool:
        name = term.field
        if name is None:
            raise UnsupportedError("Free-text search is not part of this sandbox.")
        if name not in documented_fields()[self.connection]:
            problem = {"message": "Invalid search field for this query.", "code": "invalid_field"}
            self.warnings.append({"field": name, **problem})
            return False
        try:
            if name in self.by_column:
                self.row_tests[term] = self.by_column[name](term, self.clock)
            elif name in self.by_document:
                self.document_tests[term] = self.by_document[name](term, self.clock)
            else:
                raise UnsupportedError(f"The filter `{name}` of `{self.connection}` is not part of this sandbox.")
        except InvalidValueError:
            problem = {"message": f"Input `{term.value}` is not an accepted value.", "code": "invalid_value"}
            self.warnings.append({"field": name, **problem})
            return False
        return True

    def row_test(self, search: Search) -> RowTest:
        """A test of many rows at once."""
        if isinstance(search, Term):
            return self.row_tests[search]
        if isinstance(search, Not):
            inner = self.row_test(search.operand)
            return lambda columns, rows: ~inner(columns, rows)
        parts = [self.row_test(operand) for operand in search.operands]
        combine = np.logical_and if isinstance(search, All) else np.logical_or
        return lambda columns, rows: combine.reduce([part(columns, rows) for part in parts])

    def document_test(self, search: Search, table: Table | None) -> DocumentTest:
        """A test of one document; terms on columns look its row up in the table."""
        if isinstance(search, Not):
            inner = self.document_test(search.operand, table)
            return lambda document: not inner(document)
        if not isinstance(search, Term):
            parts = [self.document_test(operand, table) for operand in search.operands]
            combine = all if isinstance(search, All) else any
            return lambda document: combine(part(document) for part in parts)
        if search in self.document_tests or table is None:
            return self.document_tests[search]
        row_test = self.row_tests[search]

        def test(document: Document) -> bool:
            row = table.row(_number(document["id"]))
            return row is not None and bool(row_test(table.columns, np.array([row]))[0])

        return test


def select(connection: str, text: str | None, table: Table | None, clock: Clock) -> Selection:
    """What a search leaves of a table's rows, or of a list of documents.

    Args:
        connection: Such as `orders`, `ordersCount` or `Order.agreements`.
        text: The `query:` argument.
        table: The rows; None for a list, all of whose filters test documents.
        clock: How times are read.

    Raises:
        UnsupportedError: For a documented filter that the sandbox does not play.
        SearchSyntaxError: For a text that cannot be read.
    """
    search = parse_search(text or "")
    if search is None:
        return Selection()
    builder = _Builder(connection, clock)
    accepted = builder.accept(search)
    selection = Selection(warnings=builder.warnings, parsed=echo(search))
    if accepted is not None:
        conjuncts = accepted.operands if isinstance(accepted, All) else (accepted,)
        cheap = tuple(c for c in conjuncts if all(term in builder.row_tests for term in terms(c)))
        dear = tuple(c for c in conjuncts if c not in cheap)
        if cheap:
            selection.columns = builder.row_test(All(cheap))
        if dear:
            selection.documents = builder.document_test(All(dear), table)
    return selection
