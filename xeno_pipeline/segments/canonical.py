"""The canonical text of a tree: two queries that say the same in the same order have the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from xeno_pipeline.segments.tree import All, AnyOf, Clause, Matches, Node, Not, Offset, Operator, Value


def canonical_text(node: Node) -> str:
    """The query that stands for a tree; parsed, it is that tree again."""
    match node:
        case AnyOf(parts):
            return " OR ".join(canonical_text(part) for part in parts)
        case All(parts):
            return " AND ".join(_grouped(part, AnyOf) for part in parts)
        case Not(part):
            return f"NOT {_grouped(part, All | AnyOf)}"
        case Matches():
            parameters = ", ".join(canonical_text(parameter) for parameter in node.parameters)
            return f"{node.function} {_negation(node)}MATCHES ({parameters})"
        case Clause():
            return f"{node.attribute} {_comparison(node)}"


def value_text(value: Value) -> str:
    """A value as it is written in a query."""
    match value.value:
        case bool(is_true):
            return "true" if is_true else "false"
        case str(text):
            escaped = text.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
        case Offset(amount, unit):
            return {(0, "d"): "today", (-1, "d"): "yesterday"}.get((amount, unit)) or f"{amount:+d}{unit}"
        case Decimal() as number:
            return f"{number:f}"
        case date() as day:
            return day.isoformat()
        case int(number):
            return str(number)


def _comparison(clause: Clause) -> str:
    values = [value_text(value) for value in clause.values]
    match clause.operator:
        case Operator.NULL:
            return f"IS {_negation(clause)}NULL"
        case Operator.BETWEEN:
            return f"{_negation(clause)}BETWEEN {values[0]} AND {values[1]}"
        case Operator.IN:
            return f"{_negation(clause)}IN ({', '.join(values)})"
        case _:
            return f"{_negation(clause)}{clause.operator} {values[0]}"


def _negation(clause: Clause | Matches) -> str:
    return "NOT " if clause.is_negated else ""


def _grouped(node: Node, groups: object) -> str:
    return f"({canonical_text(node)})" if isinstance(node, groups) else canonical_text(node)  # type: ignore[arg-type]
