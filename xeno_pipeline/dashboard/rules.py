"""The builder of segments: rows of conditions and the text of a query, each made of the other.

A row is one comparison. What the language can say beyond that (functions, nested groups, opposites) is a row of text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xeno_pipeline.dashboard.ranges import N_
from xeno_pipeline.segments.attributes import ATTRIBUTES, AttributeType
from xeno_pipeline.segments.canonical import canonical_text
from xeno_pipeline.segments.parse import MOST_CLAUSES, parse_query
from xeno_pipeline.segments.rules import query_to_rules, rules_to_query
from xeno_pipeline.segments.tree import All, AnyOf, Clause, Node

Join = Literal["and", "or"]

TEXT_ROW = "(query)"
"""The field of a row that is a part of the query's text."""

_NUMBERS = (
    *(("=", N_("is")), ("!=", N_("is not")), (">=", N_("is at least")), ("<=", N_("is at most"))),
    *((">", N_("is more than")), ("<", N_("is less than")), ("between", N_("is between"))),
)
_DAYS = (
    *((">=", N_("is on or after")), ("<=", N_("is on or before")), (">", N_("is after")), ("<", N_("is before"))),
    *(("=", N_("is")), ("between", N_("is between"))),
)
_KNOWN = (("notNull", N_("is known")), ("null", N_("is not known")))
_EQUALITY = (("=", N_("is")), ("!=", N_("is not")))
OPERATORS: Mapping[AttributeType, tuple[tuple[str, str], ...]] = {
    AttributeType.INTEGER: (*_NUMBERS, *_KNOWN),
    AttributeType.DECIMAL: (*_NUMBERS, *_KNOWN),
    AttributeType.DATE: (*_DAYS, *_KNOWN),
    AttributeType.ENUM: (*_EQUALITY, ("in", N_("is one of")), ("notIn", N_("is none of")), *_KNOWN),
    AttributeType.TEXT: (*_EQUALITY, ("beginsWith", N_("begins with")), ("in", N_("is one of")), *_KNOWN),
    AttributeType.BOOLEAN: _EQUALITY,
    AttributeType.LIST: (("contains", N_("contains")), ("doesNotContain", N_("does not contain")), *_KNOWN),
}
"""What can be asked of each type, as React Query Builder names it and as people read it."""

_WITHOUT_VALUE = {"null", "notNull"}
_USUAL = {AttributeType.ENUM: "", AttributeType.BOOLEAN: "true", AttributeType.DATE: "-30d"}
_LONGEST_VALUE = 2_000


@dataclass(frozen=True)
class RuleRow:
    """A row of the builder.

    Args:
        field: an attribute, or TEXT_ROW.
        operator: one of OPERATORS of its type; empty for a row of text.
        value: as it is typed; several are separated by commas.
    """

    field: str
    operator: str
    value: str

    @property
    def type(self) -> str:
        """The attribute's type; `query` for a row of text."""
        return str(ATTRIBUTES[self.field].type) if self.field in ATTRIBUTES else "query"

    @property
    def choices(self) -> Sequence[str]:
        """The values that there are to choose from; empty where any may be typed."""
        if self.type == "boolean":
            return ("true", "false")
        takes_several = self.operator in ("in", "notIn")
        return () if takes_several or self.field not in ATTRIBUTES else ATTRIBUTES[self.field].values

    @property
    def operators(self) -> Sequence[tuple[str, str]]:
        """What can be asked."""
        return OPERATORS[ATTRIBUTES[self.field].type] if self.field in ATTRIBUTES else ()

    @property
    def takes_value(self) -> bool:
        """Whether there is something to compare with."""
        return self.operator not in _WITHOUT_VALUE

    @property
    def is_complete(self) -> bool:
        """Whether it says something."""
        return bool(self.value.strip()) or not self.takes_value


def new_row(field: str = "number_of_orders") -> RuleRow:
    """A row to begin with, of an attribute."""
    attribute = ATTRIBUTES[field]
    value = attribute.values[0] if attribute.values else _USUAL.get(attribute.type, "")
    return RuleRow(field, OPERATORS[attribute.type][0][0], value)


def read_rows(fields: Mapping[str, str]) -> tuple[list[RuleRow], Join]:
    """The rows that a form holds as `field.0`, `operator.0`, `value.0` and so on; unfit ones begin again."""
    rows = []
    for number in range(MOST_CLAUSES + 1):
        field, value = fields.get(f"field.{number}", ""), fields.get(f"value.{number}", "")[:_LONGEST_VALUE]
        if field == TEXT_ROW:
            rows.append(RuleRow(TEXT_ROW, "", value))
        elif field in ATTRIBUTES and field != fields.get(f"was.{number}", field):
            rows.append(new_row(field))
        elif field in ATTRIBUTES:
            row = RuleRow(field, fields.get(f"operator.{number}", ""), value)
            rows.append(row if row.operator in dict(row.operators) else new_row(field))
    return rows, "or" if fields.get("join") == "or" else "and"


def rows_to_text(rows: Sequence[RuleRow], join: Join) -> str:
    """The text that complete rows stand for; empty without any. It is not checked but for the rows' own values.

    Raises:
        SegmentQueryError: a value is none of its attribute's.
    """
    parts = [_text_of(row) for row in rows if row.is_complete]
    if len(parts) == 1:
        return parts[0]
    joined = f" {join.upper()} ".join(parts)
    return canonical_text(parse_query(joined)) if joined else ""


def text_to_rows(text: str) -> tuple[list[RuleRow], Join]:
    """The rows of a query.

    Raises:
        SegmentQueryError: it is not in the language.
    """
    match parse_query(text):
        case All(parts):
            return [_row_of(part) for part in parts], "and"
        case AnyOf(parts):
            return [_row_of(part) for part in parts], "or"
        case node:
            return [_row_of(node)], "and"


def _text_of(row: RuleRow) -> str:
    if row.field == TEXT_ROW:
        return f"({row.value})"
    value: Any = row.value.strip() if row.takes_value else None
    if row.operator in ("in", "notIn", "between"):
        value = [part for part in re.split(r"\s*,\s*", row.value.strip()) if part]
    rule = {"field": row.field, "operator": row.operator, "value": value}
    return rules_to_query({"combinator": "and", "not": False, "rules": [rule]})


def _row_of(node: Node) -> RuleRow:
    text = canonical_text(node)
    if isinstance(node, Clause) and node.attribute in ATTRIBUTES:
        rule = query_to_rules(text)["rules"][0]
        row = RuleRow(node.attribute, rule["operator"], _typed(rule["value"]))
        if row.operator in dict(row.operators):
            return row
    return RuleRow(TEXT_ROW, "", text)


def _typed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
