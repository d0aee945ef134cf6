"""From a query to a condition in SQL that holds none of the query's text, and the values that it is evaluated with.

Logic has two values: what is unknown is not so. `!=` holds where there is no value, and NOT holds where the condition
does not. So a customer is always in exactly one of a condition and its opposite.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TypeAlias, TypeVar

from xeno_pipeline.segments.attributes import (
    ATTRIBUTES,
    FUNCTIONS,
    UNSERVED,
    UNSERVED_PREFIXES,
    Attribute,
    AttributeType,
    Function,
)
from xeno_pipeline.segments.canonical import canonical_text
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.parse import parse_query, read_day, read_offset
from xeno_pipeline.segments.tree import All, AnyOf, Clause, Matches, Node, Not, Offset, Operator, Value, clauses

COMPILER_VERSION = 1
"""Another one compiles the saved segments again."""

Bound: TypeAlias = dict[str, str | int | bool]
"""Values by name, as JSON can hold them: decimals and days are texts."""

_ORDERED = {
    *(Operator.EQUAL, Operator.DIFFERENT, Operator.LESS, Operator.LESS_OR_EQUAL),
    *(Operator.GREATER, Operator.GREATER_OR_EQUAL, Operator.BETWEEN, Operator.NULL),
}
_EQUALITY = {Operator.EQUAL, Operator.DIFFERENT, Operator.NULL}
OPERATORS: Mapping[AttributeType, frozenset[Operator]] = {
    AttributeType.INTEGER: frozenset(_ORDERED | {Operator.IN}),
    AttributeType.DECIMAL: frozenset(_ORDERED),
    AttributeType.DATE: frozenset(_ORDERED),
    AttributeType.ENUM: frozenset(_EQUALITY | {Operator.IN}),
    AttributeType.TEXT: frozenset(_EQUALITY | {Operator.IN, Operator.STARTS_WITH}),
    AttributeType.BOOLEAN: frozenset(_EQUALITY),
    AttributeType.LIST: frozenset({Operator.CONTAINS, Operator.NULL}),
}
"""What each type of attribute can be asked."""

_CASTS = {
    AttributeType.INTEGER: "bigint",
    AttributeType.DECIMAL: "numeric",
    AttributeType.DATE: "date",
    AttributeType.ENUM: "text",
    AttributeType.TEXT: "text",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.LIST: "text",
}
_COMPARED_WITH = {
    AttributeType.INTEGER: "a whole number",
    AttributeType.DECIMAL: "a number",
    AttributeType.DATE: "a day such as 2026-01-31, -30d or today",
    AttributeType.ENUM: "a text in single quotes",
    AttributeType.TEXT: "a text in single quotes",
    AttributeType.BOOLEAN: "true or false",
    AttributeType.LIST: "a text in single quotes",
}
Found = TypeVar("Found", Attribute, Function)

_UNITS = {"d": "days", "w": "weeks", "m": "months", "y": "years"}
_LONGEST_TEXT = 255


@dataclass(frozen=True)
class CompiledQuery:
    """A query as the database evaluates it.

    Args:
        query: its canonical text.
        condition: an SQL condition over `c`, a row of dim_customers, and `q`, one row of `bound` (jsonb) and `today`
            (date). It has no placeholder and none of the query's text.
        bound: the values that it takes from `q.bound`.
        is_dated: whether a customer's membership may change by a new day alone.
        uses_personal: whether it asks for what only who may see people may know.
        is_shopifys: whether it is made of Shopify's attributes only, and so can be asked of Shopify.
    """

    query: str
    condition: str
    bound: Bound
    is_dated: bool
    uses_personal: bool
    is_shopifys: bool


def compile_query(query: str) -> CompiledQuery:
    """The condition that a query stands for.

    Raises:
        SegmentQueryError: it is not in the language, or asks for what is not served.
    """
    tree = check_tree(parse_query(query))
    condition = _Condition()
    sql = condition.of(tree)
    used = [attribute for clause in clauses(tree) for attribute in _attributes_of(clause)]
    values = [value for clause in clauses(tree) for value in _values_of(clause)]
    return CompiledQuery(
        query=canonical_text(tree),
        condition=sql,
        bound=condition.bound,
        is_dated=any(attribute.is_dated for attribute in used) or any(isinstance(v.value, Offset) for v in values),
        uses_personal=any(attribute.is_personal for attribute in used),
        is_shopifys=all(attribute.is_shopifys for attribute in used),
    )


def check_tree(tree: Node) -> Node:
    """The tree with names in their own spelling and values of their attribute's type.

    Raises:
        SegmentQueryError: an attribute or a function is not served, or compared with what it cannot be.
    """
    match tree:
        case Not(part):
            return Not(check_tree(part))
        case All(parts):
            return All(tuple(check_tree(part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(check_tree(part) for part in parts))
        case Matches():
            return _check_matches(tree)
        case Clause():
            if tree.attribute.lower() in FUNCTIONS:
                text = f"{tree.attribute} is a function: {tree.attribute} MATCHES (…) asks for it."
                raise SegmentQueryError(text, tree.position)
            return _check_clause(tree, ATTRIBUTES, UNSERVED, "attribute")


def _check_matches(matches: Matches) -> Matches:
    name = matches.function.lower()
    if name in ATTRIBUTES:
        raise SegmentQueryError(f"{name} is no function, so MATCHES is not for it.", matches.position)
    function = _find(name, FUNCTIONS, UNSERVED, "function", matches.position)
    checked: list[Clause] = []
    for parameter in matches.parameters:
        clause = _check_clause(parameter, function.parameters, function.unserved, f"parameter of {name}")
        if any(other.attribute == clause.attribute for other in checked):
            text = f"{clause.attribute} is there twice; BETWEEN … AND … asks for a range."
            raise SegmentQueryError(text, parameter.position)
        if clause.attribute == "count" and not _can_be_positive(clause):
            text = f"MATCHES is about customers with at least one: those without are {name} NOT MATCHES (…)."
            raise SegmentQueryError(text, parameter.position)
        checked.append(clause)
    return replace(matches, function=name, parameters=tuple(checked))


def _can_be_positive(count: Clause) -> bool:
    numbers = [value.value for value in count.values if isinstance(value.value, int)]
    most = {Operator.EQUAL: 0, Operator.LESS: 1, Operator.LESS_OR_EQUAL: 0, Operator.BETWEEN: 0, Operator.IN: 0}
    return count.is_negated or count.operator not in most or max(numbers) > most[count.operator]


def _check_clause(clause: Clause, known: Mapping[str, Attribute], unserved: Mapping[str, str], kind: str) -> Clause:
    name = clause.attribute.lower()
    attribute = _find(name, known, unserved, kind, clause.position)
    if clause.operator not in OPERATORS[attribute.type]:
        wanted = ", ".join(operator for operator in Operator if operator in OPERATORS[attribute.type])
        text = f"{name} is of type {attribute.type}, so {clause.operator} is not for it; it takes {wanted}."
        raise SegmentQueryError(text, clause.position)
    return replace(clause, attribute=name, values=tuple(_check_value(name, attribute, v) for v in clause.values))


def _find(name: str, known: Mapping[str, Found], unserved: Mapping[str, str], kind: str, position: int) -> Found:
    if name in known:
        return known[name]
    why = unserved.get(name) or next(
        (why for prefix, why in UNSERVED_PREFIXES.items() if name.startswith(prefix)), None
    )
    if why is not None:
        raise SegmentQueryError(f"Shopify's {name} is not served here: {why}.", position)
    near = _nearest(name, known)
    raise SegmentQueryError(_with_suggestion(f"There is no {kind} {_shortened(name)}", near), position, near)


def _check_value(name: str, attribute: Attribute, given: Value) -> Value:
    value = given.value
    if attribute.type is AttributeType.DATE and isinstance(value, str):  # ShopifyQL has days in quotes
        value = read_offset(value) or read_day(value, given.position)
    if attribute.type is AttributeType.DECIMAL and type(value) is int and abs(value) < 10**16:
        value = Decimal(value)
    is_right = {
        AttributeType.INTEGER: type(value) is int,
        AttributeType.DECIMAL: isinstance(value, Decimal),
        AttributeType.DATE: isinstance(value, date | Offset),
        AttributeType.BOOLEAN: isinstance(value, bool),
    }.get(attribute.type, isinstance(value, str))
    if not is_right:
        raise SegmentQueryError(f"{name} is compared with {_COMPARED_WITH[attribute.type]}.", given.position)
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise SegmentQueryError(f"A text has at most {_LONGEST_TEXT} characters.", given.position)
    if attribute.values and value not in attribute.values:
        near = _nearest(str(value).upper().replace(" ", "_"), attribute.values)
        suggestion = None if near is None else f"'{near}'"
        text = _with_suggestion(f"{name} is never '{_shortened(str(value))}'", suggestion)
        if near is None:
            text += f" It is one of {', '.join(attribute.values)}."
        raise SegmentQueryError(text, given.position, suggestion)
    return replace(given, value=value)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name[:100], list(known), 1)), None)


def _with_suggestion(text: str, near: str | None) -> str:
    return f"{text}; did you mean {near}?" if near else f"{text}."


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"


def _attributes_of(clause: Clause | Matches) -> list[Attribute]:
    if isinstance(clause, Matches):
        parameters = FUNCTIONS[clause.function].parameters
        return [parameters[parameter.attribute] for parameter in clause.parameters]
    return [ATTRIBUTES[clause.attribute]]


def _values_of(clause: Clause | Matches) -> list[Value]:
    if isinstance(clause, Matches):
        return [value for parameter in clause.parameters for value in parameter.values]
    return list(clause.values)


class _Condition:
    """Writes the condition of a checked tree, and collects its values."""

    def __init__(self) -> None:
        self.bound: Bound = {}

    def of(self, node: Node) -> str:
        match node:
            case All(parts):
                return f"({' and '.join(self.of(part) for part in parts)})"
            case AnyOf(parts):
                return f"({' or '.join(self.of(part) for part in parts)})"
            case Not(part):
                return f"({self.of(part)} is not true)"
            case Matches():
                return self._matches(node, FUNCTIONS[node.function])
            case Clause():
                return self._clause(node, ATTRIBUTES[node.attribute])

    def _clause(self, clause: Clause, attribute: Attribute) -> str:
        compared = self._comparison(clause, attribute, [self._value(attribute, value) for value in clause.values])
        return f"({compared} is not true)" if clause.is_negated else f"({compared})"

    def _comparison(self, clause: Clause, attribute: Attribute, values: list[str]) -> str:
        sql = f"lower({attribute.sql})" if self._folds(attribute, clause.operator) else attribute.sql
        match clause.operator:
            case Operator.NULL:
                is_list = attribute.type is AttributeType.LIST
                return f"coalesce(cardinality({sql}), 0) = 0" if is_list else f"{sql} is null"
            case Operator.DIFFERENT:
                return f"{sql} is distinct from {values[0]}"
            case Operator.BETWEEN:
                return f"{sql} between {values[0]} and {values[1]}"
            case Operator.IN:
                return f"{sql} in ({', '.join(values)})"
            case Operator.CONTAINS:
                return f"exists (select from unnest({sql}) each (value) where lower(each.value) = {values[0]})"
            case Operator.STARTS_WITH:
                return f"starts_with({sql}, {values[0]})"
            case _:
                return f"{sql} {clause.operator} {values[0]}"

    @staticmethod
    def _folds(attribute: Attribute, operator: Operator) -> bool:
        return attribute.type is AttributeType.TEXT and attribute.ignores_case and operator is not Operator.NULL

    def _value(self, attribute: Attribute, given: Value) -> str:
        value = given.value
        if isinstance(value, Offset):
            amount = self._bind(value.amount, "integer")
            return f"(q.today + make_interval({_UNITS[value.unit]} => {amount}))::date"
        sql = self._bind(value if isinstance(value, str | int) else str(value), _CASTS[attribute.type])
        return f"lower({sql})" if attribute.ignores_case else sql

    def _bind(self, value: str | int | bool, type_name: str) -> str:
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return f"(q.bound ->> '{name}')::{type_name}"

    def _matches(self, matches: Matches, function: Function) -> str:
        of_rows: list[str] = []
        of_all: list[str] = []
        for clause in matches.parameters:
            attribute = function.parameters[clause.attribute]
            (of_all if attribute.is_aggregate else of_rows).append(self._clause(clause, attribute))
        rows = " and ".join([function.rows, *of_rows])
        negation = "not " if matches.is_negated else ""
        # Rows of none are a group too. Without a group, the database can join instead of asking row by row.
        groups = f" having {' and '.join(['count(*) > 0', *of_all])}" if of_all else ""
        return f"({negation}exists (select {rows}{groups}))"
