"""The tree that a query in the segment query language stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Unit = str
"""d, w, m or y."""


@dataclass(frozen=True)
class Offset:
    """A day counted from today: `-90d`; today itself is `0d`."""

    amount: int
    unit: Unit


@dataclass(frozen=True)
class Value:
    """What something is compared with.

    Args:
        value: as Python has it.
        position: where it stands in the query; two values are equal wherever they stand.
    """

    value: str | int | Decimal | bool | date | Offset
    position: int = field(default=0, compare=False)


class Operator(StrEnum):
    """What a clause asks of an attribute; negated it asks for the opposite."""

    EQUAL = "="
    DIFFERENT = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    BETWEEN = "BETWEEN"
    IN = "IN"
    NULL = "IS NULL"
    CONTAINS = "CONTAINS"
    STARTS_WITH = "STARTS WITH"


@dataclass(frozen=True)
class Clause:
    """One attribute (or one parameter of a function), compared."""

    attribute: str
    operator: Operator
    values: tuple[Value, ...] = ()
    is_negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Matches:
    """Whether a customer did something, such as placing orders, that fits all parameters."""

    function: str
    parameters: tuple[Clause, ...] = ()
    is_negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    part: Node


@dataclass(frozen=True)
class All:
    """Conditions joined by AND, at least two."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by OR, at least two."""

    parts: tuple[Node, ...]


Node: TypeAlias = Clause | Matches | Not | All | AnyOf


def all_of(*parts: Node) -> Node:
    """Conditions joined by AND; those that are joined so themselves are taken apart."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, All) else (part,)))
    return All(flat) if len(flat) > 1 else flat[0]


def any_of(*parts: Node) -> Node:
    """Conditions joined by OR; those that are joined so themselves are taken apart."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, AnyOf) else (part,)))
    return AnyOf(flat) if len(flat) > 1 else flat[0]


def negation_of(part: Node) -> Node:
    """The opposite of a condition; of an opposite, the condition."""
    return part.part if isinstance(part, Not) else Not(part)


def clauses(node: Node) -> Iterator[Clause | Matches]:
    """The clauses of a tree, from left to right."""
    match node:
        case Clause() | Matches():
            yield node
        case Not(part):
            yield from clauses(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from clauses(part)
