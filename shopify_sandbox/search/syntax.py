"""Shopify's search syntax, as far as `query:` arguments use it: parsed, and as the API echoes it.

Terms are `field:value`, with `>`, `>=`, `<`, `<=` before the value, quotes around it, `*` for "has any" or for a
prefix, `from..to` for a range; they are joined by `AND` (or nothing), `OR`, `NOT` or `-`, and parentheses. The
shape of the echo (`parsed`) is that of the recorded `extensions.search`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


class SearchSyntaxError(ValueError):
    """The text is no search."""


@dataclass(frozen=True, slots=True)
class Term:
    """A field compared with a value; without a field, free text."""

    field: str | None
    operator: str
    """One of `:`, `>`, `>=`, `<`, `<=`."""
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """What does not match."""

    operand: Search


@dataclass(frozen=True, slots=True)
class All:
    """What matches every operand."""

    operands: tuple[Search, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """What matches at least one operand."""

    operands: tuple[Search, ...]


Search = Term | Not | All | Some

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\()|(?P<close>\))
        |(?P<joint>AND|OR|NOT)(?=[\s(]|$)
        |(?P<minus>-)(?=[\w(])
        |(?:(?P<field>[A-Za-z_][\w.]*):\s*)?(?P<operator>>=|<=|>|<)?\s*
         (?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<bare>(?:\\.|[^\s()"'])+))
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_RANGE_NAMES = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def parse_search(text: str) -> Search | None:
    """What a `query:` argument asks for; None where it asks for nothing.

    Raises:
        SearchSyntaxError: On text that cannot be read.
    """
    tokens = list(_tokens(text))
    if not tokens:
        return None
    search, rest = _either(tokens)
    if rest:
        raise SearchSyntaxError(f"unexpected {rest[0]!r} in {text!r}")
    return search


def _tokens(text: str) -> Any:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise SearchSyntaxError(f"cannot read {text[position:].strip()!r}")
        position = match.end()
        groups = match.groupdict()
        if groups["open"] or groups["close"] or groups["minus"]:
            yield "NOT" if groups["minus"] else groups["open"] or groups["close"]
        elif groups["joint"]:
            yield groups["joint"].upper()
        else:
            value = next(groups[name] for name in ("double", "single", "bare") if groups[name] is not None)
            yield Term(groups["field"], groups["operator"] or ":", re.sub(r"\\(.)", r"\1", value))


def _either(tokens: list[Any]) -> tuple[Search, list[Any]]:
    first, tokens = _every(tokens)
    found = [first]
    while tokens[:1] == ["OR"]:
        operand, tokens = _every(tokens[1:])
        found.append(operand)
    return (Some(tuple(found)) if len(found) > 1 else first), tokens


def _every(tokens: list[Any]) -> tuple[Search, list[Any]]:
    first, tokens = _single(tokens)
    found = [first]
    while tokens and tokens[0] not in ("OR", ")"):
        operand, tokens = _single(tokens[1:] if tokens[0] == "AND" else tokens)
        found.append(operand)
    return (All(tuple(found)) if len(found) > 1 else first), tokens


def _single(tokens: list[Any]) -> tuple[Search, list[Any]]:
    if not tokens:
        raise SearchSyntaxError("the search ends where a term is expected")
    head, rest = tokens[0], tokens[1:]
    if head == "NOT":
        operand, rest = _single(rest)
        return Not(operand), rest
    if head == "(":
        inner, rest = _either(rest)
        if rest[:1] != [")"]:
            raise SearchSyntaxError("a parenthesis is not closed")
        return inner, rest[1:]
    if isinstance(head, Term):
        return head, rest
    raise SearchSyntaxError(f"unexpected {head!r}")


def echo(search: Search) -> dict[str, Any]:
    """A search as `extensions.search[].parsed` shows it."""
    if isinstance(search, Not):
        return {"not": echo(search.operand)}
    if isinstance(search, All | Some):
        return {"and" if isinstance(search, All) else "or": [echo(operand) for operand in search.operands]}
    if search.field is None:
        return {"field": "default", "match_all": search.value}
    if search.operator == ":":
        return {"field": search.field, "match_all": search.value}
    return {"field": search.field, "range": {_RANGE_NAMES[search.operator]: search.value}}


def terms(search: Search) -> list[Term]:
    """Every term of a search, from left to right."""
    if isinstance(search, Term):
        return [search]
    if isinstance(search, Not):
        return terms(search.operand)
    return [term for operand in search.operands for term in terms(operand)]
