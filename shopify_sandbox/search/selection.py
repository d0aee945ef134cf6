"""What a `query:` argument selects.

A filter that the API does not document is ignored with a warning, as Shopify does. One that it documents and this
store has no data for raises `UnsupportedError`: it must never be ignored in silence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from shopify_sandbox.model.money import Document
from shopify_sandbox.search.filters import COLUMN_FILTERS, DOCUMENT_FILTERS, DocumentTest, RowTest
from shopify_sandbox.search.syntax import All, Not, Search, Term, echo, parse_search, terms
from shopify_sandbox.search.values import Clock, InvalidValueError, parse_number
from shopify_sandbox.state.table import Table


class UnsupportedError(Exception):
    """The API documents it, this sandbox does not play it. Answered with HTTP 501."""


@lru_cache
def documented_fields() -> dict[str, frozenset[str]]:
    """By connection (`orders`, `Order.agreements`, …), the filters that Shopify's schema documents."""
    data = resources.files("shopify_sandbox").joinpath("data/search_fields.json").read_text()
    return {name: frozenset(fields) for name, fields in json.loads(data).items()}


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
        self.by_column = COLUMN_FILTERS.get(connection, COLUMN_FILTERS.get(root, {}))
        self.by_document = DOCUMENT_FILTERS.get(root, {})
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
            row = table.row(parse_number(document["id"]))
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
