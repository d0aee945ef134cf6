"""What a query costs and whether the shop's bucket can pay it.

Shopify documents that cost follows from the fields asked for, and neither the weights nor the growth with page
size. The weights here reproduce the requested costs of the recorded traffic: an object costs 1, a scalar, a money
bag or an address nothing, a list as much as one of its elements, a count 10, a mutation 10 with what its payload's
object holds on top, and a connection 2 plus its node's cost times a factor that grows with the logarithm of the
page: 1, 1, 2, 3, 4, 7 for pages of 1, 2, 3, 5, 10, 50.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from shopify_sandbox.model.money import Document
from shopify_sandbox.spec import PLANS

MAX_QUERY_COST = 1000
SECONDS_TO_FILL = 20
"""The bucket holds what is restored in 20 seconds: 2,000 points at the recorded 100 a second."""

_MUTATION = _COUNT = 10
_CONNECTION = 2
_FREE_TYPES = {"MoneyBag", "MoneyV2", "PageInfo", "UserError", "BulkOperationUserError"}


def page_factor(size: int) -> int:
    """How many times a connection's node counts for a page of a size."""
    return max(1, round(1.25 * math.log2(size))) if size > 0 else 0


@dataclass
class _Node:
    """The cost of one field: what it costs itself, and the fields below it by their response key."""

    own: int = 0
    is_connection: bool = False
    size: int = 0
    children: dict[str, _Node] = field(default_factory=dict)

    def requested(self) -> int:
        below = sum(child.requested() for child in self.children.values())
        if self.is_connection:
            return _CONNECTION + below * page_factor(self.size)
        return self.own + below

    def actual(self, value: Any) -> float:
        if value is None:
            return 0
        if isinstance(value, list):
            return max((self.actual(element) for element in value), default=0)
        if self.is_connection:
            return _CONNECTION + sum(self._share(child, value.get(key)) for key, child in self.children.items())
        return self.own + sum(child.actual(value.get(key)) for key, child in self.children.items())

    def _share(self, child: _Node, nodes: Any) -> float:
        """The nodes of a page cost what they cost on average, times the factor of a page of so many."""
        if not isinstance(nodes, list) or not nodes:
            return 0
        return sum(child.actual(node) for node in nodes) / len(nodes) * page_factor(len(nodes))


class QueryCost:
    """The cost of one operation: what is charged before it runs, and what it turned out to cost."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        variables: dict[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        root = schema.get_root_type(operation.operation)
        assert root is not None
        self._fields = self._selected(root, operation.selection_set)
        self.requested = sum(node.requested() for node in self._fields.values())

    def actual(self, data: Document | None) -> int:
        """What an answer cost, never more than was requested."""
        if data is None:
            return 0
        spent = round(sum(node.actual(data.get(key)) for key, node in self._fields.items()))
        return min(self.requested, spent)

    def _selected(self, kind: Any, selections: SelectionSetNode) -> dict[str, _Node]:
        """The costing fields of a selection; of an interface, those of its dearest possible type."""
        if is_abstract_type(kind):
            options = [self._of_object(possible, selections) for possible in self._schema.get_possible_types(kind)]
            return max(options, key=lambda nodes: sum(node.requested() for node in nodes.values()), default={})
        return self._of_object(kind, selections)

    def _of_object(self, kind: GraphQLObjectType, selections: SelectionSetNode) -> dict[str, _Node]:
        nodes: dict[str, _Node] = {}
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                name = selection.name.value
                definition = kind.fields.get(name)
                if definition is None or is_leaf_type(get_named_type(definition.type)):
                    continue
                key = selection.alias.value if selection.alias else name
                nodes[key] = _merged(nodes.get(key), self._field(kind, selection, definition.type))
            else:
                for key, node in self._of_fragment(kind, selection).items():
                    nodes[key] = _merged(nodes.get(key), node)
        return nodes

    def _of_fragment(self, kind: GraphQLObjectType, selection: Any) -> dict[str, _Node]:
        fragment: InlineFragmentNode | FragmentDefinitionNode = (
            self._fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
        )
        condition = fragment.type_condition.name.value if fragment.type_condition else kind.name
        if condition != kind.name and condition not in {interface.name for interface in kind.interfaces}:
            return {}
        return self._of_object(kind, fragment.selection_set)

    def _field(self, owner: GraphQLObjectType, selection: FieldNode, type_: Any) -> _Node:
        named = get_named_type(type_)
        assert selection.selection_set is not None
        children = self._selected(named, selection.selection_set)
        if named.name.endswith("Connection"):
            return _Node(is_connection=True, size=self._size(selection), children=children)
        if named.name == "Count":
            return _Node(own=_COUNT)
        if owner.name == "Mutation":
            return _Node(own=_MUTATION, children={key: _Node(children=node.children) for key, node in children.items()})
        is_edge = named.name.endswith("Edge")
        return _Node(own=0 if is_edge or named.name in _FREE_TYPES else 1, children=children)

    def _size(self, selection: FieldNode) -> int:
        for argument in selection.arguments:
            if argument.name.value in ("first", "last"):
                value = argument.value
                size = self._variables.get(value.name.value) if isinstance(value, VariableNode) else value.value  # type: ignore[attr-defined]
                if size is not None and str(size).isdecimal():
                    return int(size)
        return 0


def _merged(one: _Node | None, other: _Node) -> _Node:
    if one is None:
        return other
    children = dict(one.children)
    for key, node in other.children.items():
        children[key] = _merged(children.get(key), node)
    return _Node(max(one.own, other.own), one.is_connection, max(one.size, other.size), children)


class CostBucket:
    """The leaky bucket of one app and shop."""

    def __init__(self, plan: str, now: Callable[[], float]) -> None:
        self._now = now
        self.set_plan(plan)
        self._available = float(self.maximum)

    def set_plan(self, plan: str) -> None:
        """Take another plan's rate, with a full bucket."""
        self.restore_rate = PLANS[plan]
        self.maximum = self.restore_rate * SECONDS_TO_FILL
        self._available, self._seen = float(self.maximum), self._now()

    @property
    def available(self) -> int:
        """The points there are now."""
        now = self._now()
        self._available = min(self.maximum, self._available + (now - self._seen) * self.restore_rate)
        self._seen = now
        return int(self._available)

    def charge(self, points: int) -> bool:
        """Take points, if there are enough."""
        if points > self.available:
            return False
        self._available -= points
        return True

    def give_back(self, points: int) -> None:
        """Return what was charged and not needed."""
        self._available = min(self.maximum, self._available + points)

    def report_throttled(self, requested: int) -> Document:
        """What a throttled answer says: that there is less than was requested, even where a test ordered so."""
        report = self.report(requested, None)
        status = report["throttleStatus"]
        status["currentlyAvailable"] = min(status["currentlyAvailable"], max(0, requested - 1))
        return report

    def report(self, requested: int, actual: int | None) -> Document:
        """What an answer says under `extensions.cost`."""
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": self.maximum,
                "currentlyAvailable": self.available,
                "restoreRate": self.restore_rate,
            },
        }
