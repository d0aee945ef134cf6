"""The second notation of a query: the JSON of React Query Builder, which rule builders on web pages read and write.

https://react-querybuilder.js.org/docs/typescript has its types (RuleGroupType, and `match` for what is nested). A
function is a rule with `match`: `{"field": "orders_placed", "operator": "=", "match": {"mode": "some"}, "value": {…}}`,
where the value is a group of its parameters; `none` stands for NOT MATCHES. Date fields take `-90d` and `today` too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from xeno_pipeline.segments.attributes import ATTRIBUTES, FUNCTIONS, Attribute, AttributeType
from xeno_pipeline.segments.canonical import canonical_text, value_text
from xeno_pipeline.segments.compile import check_tree
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.parse import MOST_CLAUSES, MOST_VALUES, parse_query, read_day, read_offset
from xeno_pipeline.segments.tree import (
    All,
    AnyOf,
    Clause,
    Matches,
    Node,
    Not,
    Operator,
    Value,
    all_of,
    any_of,
    negation_of,
)

Rules: TypeAlias = dict[str, Any]
"""A rule or a group of rules, as JSON has it."""

_DEEPEST = 20
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}
_OTHERS: Mapping[str, tuple[Operator, bool]] = {
    "between": (Operator.BETWEEN, False),
    "notBetween": (Operator.BETWEEN, True),
    "in": (Operator.IN, False),
    "notIn": (Operator.IN, True),
    "null": (Operator.NULL, False),
    "notNull": (Operator.NULL, True),
    "contains": (Operator.CONTAINS, False),
    "doesNotContain": (Operator.CONTAINS, True),
    "beginsWith": (Operator.STARTS_WITH, False),
    "doesNotBeginWith": (Operator.STARTS_WITH, True),
}
_NAMES = {operator: name for name, operator in _OTHERS.items()}


def query_to_rules(query: str) -> Rules:
    """The rules that a query stands for: always a group.

    Raises:
        SegmentQueryError: the query is not in the language, or asks for what is not served.
    """
    rules = _rules_of(check_tree(parse_query(query)))
    return rules if "rules" in rules else {"combinator": "and", "not": False, "rules": [rules]}


def rules_to_query(rules: object) -> str:
    """The canonical text of rules. It may be refused when it is compiled, with a position in that text.

    Raises:
        SegmentQueryError: they are no rules; the position is 0.
    """
    return canonical_text(_Reader().node(rules, ATTRIBUTES, 0))


def _rules_of(node: Node) -> Rules:
    match node:
        case All(parts):
            return {"combinator": "and", "not": False, "rules": [_rules_of(part) for part in parts]}
        case AnyOf(parts):
            return {"combinator": "or", "not": False, "rules": [_rules_of(part) for part in parts]}
        case Not(part):
            inner = _rules_of(part)
            return {**inner, "not": True} if "rules" in inner else _group_of(inner, is_negated=True)
        case Matches():
            value = {"combinator": "and", "not": False, "rules": [_rules_of(clause) for clause in node.parameters]}
            mode = "none" if node.is_negated else "some"
            return {"field": node.function, "operator": "=", "match": {"mode": mode}, "value": value}
        case Clause():
            operator = _NAMES.get((node.operator, node.is_negated), str(node.operator))
            values = [_json_of(value) for value in node.values]
            if node.operator in (Operator.IN, Operator.BETWEEN):
                return {"field": node.attribute, "operator": operator, "value": values}
            return {"field": node.attribute, "operator": operator, "value": values[0] if values else None}


def _group_of(rule: Rules, *, is_negated: bool) -> Rules:
    return {"combinator": "and", "not": is_negated, "rules": [rule]}


def _json_of(value: Value) -> str | int | bool:
    """A value as JSON; numbers with a fraction as texts, so that none is rounded."""
    if isinstance(value.value, str | bool | int):
        return value.value
    return value_text(value)


class _Reader:
    def __init__(self) -> None:
        self._clauses = 0

    def node(self, rules: object, known: Mapping[str, Attribute], depth: int) -> Node:
        if depth > _DEEPEST:
            raise _wrong(f"they are nested more than {_DEEPEST} deep")
        if not isinstance(rules, Mapping):
            raise _wrong("a rule is an object with field, operator and value, a group one with combinator and rules")
        if "rules" in rules:
            return self._group(rules, known, depth)
        self._clauses += 1
        if self._clauses > MOST_CLAUSES:
            raise SegmentQueryError(f"A query has at most {MOST_CLAUSES} clauses, as at Shopify.", 0)
        name = _field(rules)
        if "match" in rules:
            return self._matches(name, rules)
        return _clause(name, rules, known.get(name))

    def _group(self, group: Mapping[str, object], known: Mapping[str, Attribute], depth: int) -> Node:
        parts, combinator, is_negated = group["rules"], group.get("combinator"), group.get("not", False)
        if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
            raise _wrong("a group has a list of at least one rule")
        if combinator not in ("and", "or"):
            raise _wrong("a group's combinator is and, or or")
        if not isinstance(is_negated, bool):
            raise _wrong("a group's `not` is true or false")
        nodes = [self.node(part, known, depth + 1) for part in parts]
        joined = all_of(*nodes) if combinator == "and" else any_of(*nodes)
        return negation_of(joined) if is_negated else joined

    @staticmethod
    def _matches(name: str, rule: Mapping[str, object]) -> Matches:
        match, value = rule["match"], rule.get("value")
        mode = match.get("mode") if isinstance(match, Mapping) else None
        if mode not in ("some", "none"):
            raise _wrong("a match's mode is some or none; how many is the parameter count")
        if not isinstance(value, Mapping) or not isinstance(value.get("rules"), Sequence):
            raise _wrong("the value of a rule with `match` is a group of parameters")
        if value.get("combinator", "and") != "and" or value.get("not", False) is not False:
            raise _wrong("parameters are joined by and, and not negated")
        parameters = FUNCTIONS[name].parameters if name in FUNCTIONS else {}
        if len(value["rules"]) > MOST_CLAUSES:
            raise _wrong(f"a function has at most {MOST_CLAUSES} parameters")
        clauses = [_parameter(rule, parameters) for rule in value["rules"]]
        return Matches(name, tuple(clauses), mode == "none")


def _parameter(rule: object, known: Mapping[str, Attribute]) -> Clause:
    if not isinstance(rule, Mapping) or "rules" in rule or "match" in rule:
        raise _wrong("a parameter is a rule with field, operator and value")
    name = _field(rule)
    return _clause(name, rule, known.get(name))


def _field(rule: Mapping[str, object]) -> str:
    name = rule.get("field")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z_][a-z0-9_.]{0,99}", name):
        raise _wrong("a field is named by a text such as number_of_orders")
    return name


def _clause(name: str, rule: Mapping[str, object], attribute: Attribute | None) -> Clause:
    operator, value = rule.get("operator"), rule.get("value")
    if rule.get("valueSource", "value") != "value":
        raise _wrong(f"{name} is compared with values only")
    if not isinstance(operator, str) or (operator not in _COMPARISONS and operator not in _OTHERS):
        known = ", ".join([*sorted(_COMPARISONS), *_OTHERS])
        raise _wrong(f"an operator is one of {known}")
    if operator in _COMPARISONS:
        return Clause(name, Operator(operator), (_value(name, value, attribute),))
    kind, is_negated = _OTHERS[operator]
    if kind is Operator.NULL:
        return Clause(name, kind, (), is_negated)
    if kind not in (Operator.IN, Operator.BETWEEN):
        return Clause(name, kind, (_value(name, value, attribute),), is_negated)
    several = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(several, Sequence) or not 0 < len(several) <= MOST_VALUES:
        raise _wrong(f"{operator} has a list of values, at most {MOST_VALUES}")
    if kind is Operator.BETWEEN and len(several) != 2:
        raise _wrong("a range has two values")
    return Clause(name, kind, tuple(_value(name, each, attribute) for each in several), is_negated)


def _value(name: str, value: object, attribute: Attribute | None) -> Value:
    """A value as the attribute has it: what builders give for a number or a day may be a text."""
    kind = attribute.type if attribute else None
    if isinstance(value, str):
        if kind is AttributeType.DATE:
            return Value(read_offset(value) or read_day(value, 0))
        if kind in (AttributeType.INTEGER, AttributeType.DECIMAL) and re.fullmatch(r"[+-]?[0-9]{1,16}", value):
            return Value(int(value))
        if kind is AttributeType.DECIMAL and re.fullmatch(r"[+-]?[0-9]{1,16}\.[0-9]{1,10}", value):
            return Value(Decimal(value))
        if kind is AttributeType.BOOLEAN and value in ("true", "false"):
            return Value(value == "true")
        return Value(value)
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 63):
        return Value(value)
    if isinstance(value, float) and abs(value) < 1e16 and re.fullmatch(r"-?[0-9]+\.[0-9]{1,10}", repr(value)):
        return Value(Decimal(repr(value)))
    raise _wrong(f"{name} is compared with a text, a number, or true or false")


def _wrong(why: str) -> SegmentQueryError:
    return SegmentQueryError(f"These rules cannot be read: {why}.", 0)
