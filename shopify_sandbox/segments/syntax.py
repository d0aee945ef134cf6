"""The segment query language, as Shopify's reference describes it: from a text to a test of a customer's facts.

https://shopify.dev/docs/api/shopifyql/segment-query-language-reference
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

Facts = dict[str, Any]
Test = Callable[[Facts], bool]

MAX_CLAUSES = 10

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<day>\d{4}-\d{2}-\d{2})|(?P<offset>[+-]\d+[dwmy]\b)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign>!=|<=|>=|[=<>(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda known, wanted: known == wanted,
    "<": lambda known, wanted: known < wanted,
    "<=": lambda known, wanted: known <= wanted,
    ">": lambda known, wanted: known > wanted,
    ">=": lambda known, wanted: known >= wanted,
}
_AGGREGATES = ("count", "sum_amount", "sum_quantity")


class SegmentSyntaxError(Exception):
    """The query is not in the language."""


class UnknownAttributeError(Exception):
    """The language has it, and this sandbox does not."""


@dataclass
class _Token:
    kind: str
    text: str


class _Reader:
    def __init__(self, query: str, today: date, known: set[str]) -> None:
        self._tokens = list(_split(query))
        self._at = 0
        self._today = today
        self._known = known
        self._clauses = 0

    def read(self) -> Test:
        test = self._any()
        if self._at < len(self._tokens):
            raise SegmentSyntaxError(f"unexpected {self._tokens[self._at].text}")
        return test

    def _any(self) -> Test:
        parts = [self._all()]
        while self._take("OR"):
            parts.append(self._all())
        return lambda facts: any(part(facts) for part in parts)

    def _all(self) -> Test:
        parts = [self._clause()]
        while self._take("AND"):
            parts.append(self._clause())
        return lambda facts: all(part(facts) for part in parts)

    def _clause(self) -> Test:
        if self._take("("):
            inner = self._any()
            self._expect(")")
            return inner
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise SegmentSyntaxError("too many clauses")
        name = self._next("word").text.lower()
        if name not in self._known:
            raise UnknownAttributeError(name)
        is_negated = self._take("NOT")
        if self._take("MATCHES"):
            test = self._matches()
        elif self._take("CONTAINS"):
            wanted = str(self._value()).lower()
            test = lambda known: wanted in [str(each).lower() for each in known]  # noqa: E731
        else:
            return _about(name, self._comparison(is_negated))
        return _about(name, (lambda known: not test(known)) if is_negated else test)

    def _comparison(self, is_negated: bool = False) -> Callable[[Any], bool]:
        if self._take("IS"):
            wants_null = not self._take("NOT")
            self._expect("NULL")
            return lambda known: (known is None or known == []) is wants_null
        if self._take("BETWEEN"):
            low = self._value()
            self._expect("AND")
            high = self._value()
            return lambda known: (known is not None and low <= known <= high) is not is_negated
        if self._take("IN"):
            self._expect("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._expect(")")
            return lambda known: (known in values) is not is_negated
        operator = self._next("sign").text
        wanted = self._value()
        if operator == "!=":
            return lambda known: bool(known != wanted)
        if is_negated or operator not in _COMPARISONS:
            raise SegmentSyntaxError(f"unexpected {operator}")
        return lambda known: known is not None and _COMPARISONS[operator](known, wanted)

    def _matches(self) -> Callable[[Any], bool]:
        self._expect("(")
        parameters: dict[str, Callable[[Any], bool]] = {}
        while not self._take(")"):
            name = self._next("word").text.lower()
            if name not in ("amount", "id", "date", "quantity", *_AGGREGATES):
                raise UnknownAttributeError(name)
            parameters[name] = self._comparison(self._take("NOT"))
            self._take(",")

        def test(rows: list[Facts]) -> bool:
            fitting = [row for row in rows if all(parameters[p](row[p]) for p in parameters if p not in _AGGREGATES)]
            totals = {
                "count": len({row["order"] for row in fitting}),
                "sum_amount": sum(row["amount"] for row in fitting),
                "sum_quantity": sum(row["quantity"] for row in fitting),
            }
            return bool(fitting) and all(parameters[p](totals[p]) for p in parameters if p in _AGGREGATES)

        return test

    def _value(self) -> Any:
        token = self._next("text", "day", "offset", "number", "word")
        match token.kind:
            case "text":
                return re.sub(r"\\(.)", r"\1", token.text[1:-1])
            case "day":
                try:
                    return date.fromisoformat(token.text)
                except ValueError:
                    raise SegmentSyntaxError(f"{token.text} is no day") from None
            case "offset":
                return _moved(self._today, int(token.text[:-1]), token.text[-1])
            case "number":
                return Decimal(token.text)
        days = {"today": 0, "yesterday": -1}
        if token.text.lower() not in days:
            raise SegmentSyntaxError(f"unexpected {token.text}")
        return self._today + timedelta(days=days[token.text.lower()])

    def _take(self, text: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at]
        if found and found.kind != "text" and found.text.upper() == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise SegmentSyntaxError(f"expected {text}")

    def _next(self, *kinds: str) -> _Token:
        if self._at == len(self._tokens) or self._tokens[self._at].kind not in kinds:
            raise SegmentSyntaxError(f"expected {' or '.join(kinds)}")
        self._at += 1
        return self._tokens[self._at - 1]


def read_query(query: str, today: date, known: set[str]) -> Test:
    """The test that a query stands for.

    Args:
        query: in the language.
        today: what offsets count from.
        known: the attributes that facts have.

    Raises:
        SegmentSyntaxError: it is not in the language.
        UnknownAttributeError: it asks for what no facts have.
    """
    return _Reader(query, today, known).read()


def _about(name: str, test: Callable[[Any], bool]) -> Test:
    return lambda facts: test(facts[name])


def _split(query: str) -> Iterator[_Token]:
    at, end = 0, len(query.rstrip())
    while at < end:
        found = _TOKEN.match(query, at)
        if found is None or found.lastgroup is None:
            raise SegmentSyntaxError(f"unexpected {query[at]}")
        yield _Token(found.lastgroup, found[found.lastgroup])
        at = found.end()


def _moved(day: date, amount: int, unit: str) -> date:
    if unit in "dw":
        return day + timedelta(days=amount * (7 if unit == "w" else 1))
    year, month = divmod(day.year * 12 + day.month - 1 + amount * (12 if unit == "y" else 1), 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
