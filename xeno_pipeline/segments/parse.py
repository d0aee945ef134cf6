"""Reading a query: from its text to the tree. Whether its names and types are right is for `check.py`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.tree import (
    Clause,
    Matches,
    Node,
    Offset,
    Operator,
    Value,
    all_of,
    any_of,
    clauses,
    negation_of,
)

MOST_CHARACTERS = 20_000
"""Enough for ten clauses with 500 ids each in a few of them."""

MOST_CLAUSES = 10
"""Shopify's limit: "Invalid query: Too many clauses (>10)" in the reference, under grouped clauses."""

MOST_VALUES = 500
"""Shopify's limit for a list of ids, in the reference, under products_purchased."""

_MOST_YEARS = 100
_DAYS_OF_UNIT = {"d": 1, "w": 7, "m": 31, "y": 366}
_NAMED_UNITS = {"days": "d", "weeks": "w", "months": "m", "years": "y"}
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
"""What PostgreSQL's text cannot hold."""

_TERMINALS = {
    "OPERATOR": "an operator such as =",
    "NAME": "an attribute",
    "TEXT": "a text in single quotes",
    "$END": "the end",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": "a comma",
}
_KINDS_OF_VALUES = {"DAY", "DECIMAL", "INTEGER", "BOOLEAN", "OFFSET", "NAMED_DAY"}
_SLIPS = {
    '"': "Texts stand in single quotes: 'vip'.",
    "“": "Texts stand in single quotes: 'vip'.",
    "‘": "Texts stand in straight single quotes: 'vip'.",
    "&": "Conditions are joined by AND.",
    "|": "Conditions are joined by OR.",
    "!": "The opposite of a condition is NOT (…), and of = it is !=.",
    ";": "A query is one condition, without a semicolon.",
    "'": "This text has no closing quote; a quote within a text is written \\'.",
}
"""What stands where nothing fits, and what was probably meant."""

_OTHER_PARTS = {"FROM", "SHOW", "WHERE", "SELECT", "ORDER"}
"""What a query of ShopifyQL or SQL begins with, and one of this language does not."""


def parse_query(query: str) -> Node:
    """The tree of a query.

    Raises:
        SegmentQueryError: it is not in the language, or larger than is allowed.
    """
    if len(query) > MOST_CHARACTERS:
        raise SegmentQueryError(f"A query has at most {MOST_CHARACTERS:,} characters.", MOST_CHARACTERS)
    if unwritable := _UNWRITABLE.search(query):
        raise SegmentQueryError("A query holds no NUL and no half of a character.", unwritable.start())
    try:
        tree = cast(Node, _parser().parse(query))
    except UnexpectedInput as error:
        raise _not_understood(query, error) from None
    return tree


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("query.lark").read_text()
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=_TreeBuilder())


def _not_understood(query: str, error: UnexpectedInput) -> SegmentQueryError:
    if isinstance(error, UnexpectedToken):
        position = len(query) if error.token.type == "$END" else error.token.start_pos or 0
        expected, found = error.expected, str(error.token)
    else:
        assert isinstance(error, UnexpectedCharacters)
        position, expected = error.pos_in_stream or 0, error.allowed or set()
        found = query[position]
    first_word = query.split(maxsplit=1)[0].upper() if query.strip() else ""
    if not first_word:
        return SegmentQueryError("The query is empty: number_of_orders > 1 would be one.", 0)
    if first_word in _OTHER_PARTS:
        return SegmentQueryError(
            f"Leave out {first_word}: a query is what follows WHERE.", query.upper().index(first_word)
        )
    if slip := _SLIPS.get(found[:1]):
        return SegmentQueryError(slip, position)
    where = f" instead of {_shortened(found)}" if position < len(query) else ", where the query ends"
    return SegmentQueryError(f"Expected {_one_of(expected)}{where}.", position)


def _one_of(terminals: Sequence[str] | set[str]) -> str:
    names = {_TERMINALS.get(name, name.removeprefix("_").replace("_", " ")) for name in terminals}
    values = names & {kind.replace("_", " ") for kind in _KINDS_OF_VALUES}
    wanted = sorted(names - values) + (["another value"] if values else [])
    return ", ".join(wanted[:-1]) + " or " + wanted[-1] if len(wanted) > 1 else "".join(wanted) or "nothing more"


def _shortened(found: str) -> str:
    return found if len(found) <= 30 else f"{found[:29]}…"


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, Node]):
    """Makes the tree while the text is parsed, so that no depth of parentheses is a depth of calls."""

    def any_of(self, *parts: Node) -> Node:
        return _checked(any_of(*parts))

    def all_of(self, *parts: Node) -> Node:
        return _checked(all_of(*parts))

    def negation(self, _: Token, part: Node) -> Node:
        return negation_of(part)

    def comparison(self, name: Token, operator: Token, value: Value) -> Clause:
        return Clause(str(name), Operator({"<>": "!="}.get(operator, operator)), (value,), False, _start(name))

    def between(self, name: Token, negation: Token | None, low: Value, high: Value) -> Clause:
        return Clause(str(name), Operator.BETWEEN, (low, high), negation is not None, _start(name))

    def member(self, name: Token, negation: Token | None, *values: Value) -> Clause:
        if len(values) > MOST_VALUES:
            raise SegmentQueryError(f"A list has at most {MOST_VALUES} values.", values[MOST_VALUES].position)
        return Clause(str(name), Operator.IN, values, negation is not None, _start(name))

    def is_null(self, name: Token, negation: Token | None) -> Clause:
        return Clause(str(name), Operator.NULL, (), negation is not None, _start(name))

    def contains(self, name: Token, negation: Token | None, value: Value) -> Clause:
        return Clause(str(name), Operator.CONTAINS, (value,), negation is not None, _start(name))

    def starts_with(self, name: Token, negation: Token | None, value: Value) -> Clause:
        return Clause(str(name), Operator.STARTS_WITH, (value,), negation is not None, _start(name))

    def matches(self, name: Token, negation: Token | None, *parameters: Clause | None) -> Matches:
        given = tuple(parameter for parameter in parameters if parameter is not None)
        return Matches(str(name), given, negation is not None, _start(name))

    def text(self, token: Token) -> Value:
        return Value(re.sub(r"\\(.)|''", lambda found: found[1] or "'", token[1:-1], flags=re.DOTALL), _start(token))

    def integer(self, token: Token) -> Value:
        if len(token) > 20 or abs(int(token)) >= 1 << 63:
            raise SegmentQueryError(
                "This number is too large: 9,223,372,036,854,775,807 is the largest.", _start(token)
            )
        return Value(int(token), _start(token))

    def decimal(self, token: Token) -> Value:
        whole, _, fraction = token.lstrip("+-").partition(".")
        if len(whole) > 16 or len(fraction) > 10:
            raise SegmentQueryError("A number has at most 16 digits before the point and 10 after it.", _start(token))
        return Value(Decimal(token), _start(token))

    def boolean(self, token: Token) -> Value:
        return Value(token.lower() == "true", _start(token))

    def day(self, token: Token) -> Value:
        return Value(read_day(str(token), _start(token)), _start(token))

    def offset(self, token: Token) -> Value:
        return _offset(token, token[:-1], token[-1].lower())

    def named_day(self, token: Token) -> Value:
        if token.lower() in ("today", "yesterday"):
            return Value(Offset(0 if token.lower() == "today" else -1, "d"), _start(token))
        amount, unit, _ = token.lower().split("_")
        return _offset(token, f"-{amount}", _NAMED_UNITS[unit])


def read_day(text: str, position: int) -> date:
    """A day as it is written in a query.

    Raises:
        SegmentQueryError: there is no such day.
    """
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]*", text):
        raise SegmentQueryError("Shopify's times of day are not served here: days are whole, as 2026-01-31.", position)
    raise SegmentQueryError(f"{_shortened(text)} is no day; days are written as 2026-01-31.", position)


def read_offset(text: str) -> Offset | None:
    """A day relative to today as it is written in a query; None where this is none."""
    named = {"today": Offset(0, "d"), "yesterday": Offset(-1, "d")}.get(text.lower())
    if named is None and re.fullmatch(r"[+-][0-9]{1,6}[dwmy]", text):
        return Offset(int(text[:-1]), text[-1])
    return named


def _offset(token: Token, amount: str, unit: str) -> Value:
    if len(amount) > 7 or abs(int(amount)) * _DAYS_OF_UNIT[unit] > _MOST_YEARS * 366:
        raise SegmentQueryError(f"A day is at most {_MOST_YEARS} years from today.", _start(token))
    return Value(Offset(int(amount), unit), _start(token))


def _start(token: Token) -> int:
    assert token.start_pos is not None
    return token.start_pos


def _checked(node: Node) -> Node:
    """The node, unless there are too many clauses below it: so no tree is deep."""
    for number, clause in enumerate(clauses(node)):
        if number == MOST_CLAUSES:
            raise SegmentQueryError(f"A query has at most {MOST_CLAUSES} clauses, as at Shopify.", clause.position)
    return node
