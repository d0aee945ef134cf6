"""The operations this package sends, read from `queries/*.graphql`.

All files are one document, so that fragments are shared; what is sent is one operation with just the
fragments it uses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    separate_operations,
    strip_ignored_characters,
    visit,
)

API_VERSION = "2026-10"
"""The version of the Admin API that every query is written and validated for."""


@dataclass(frozen=True)
class Operation:
    """One named operation, ready to send."""

    name: str
    text: str


@cache
def operation(name: str) -> Operation:
    """The operation of that name, with the fragments it uses.

    Raises:
        KeyError: no file defines it.
    """
    return Operation(name, strip_ignored_characters(print_ast(_operations()[name])))


def bulk_query(name: str, *, query: str | None = None) -> str:
    """The text of a bulk query: one anonymous operation without variables, its fragments written out.

    Args:
        name: an operation whose one variable is `$query`.
        query: the search filter to put in the variable's place; None leaves the argument out.

    A bulk operation takes no variables, and whether it takes named fragments is not documented.
    """
    document = _operations()[name]
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    (definition,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    inlined = visit(definition, _Inline(fragments, query))
    anonymous = OperationDefinitionNode(
        operation=definition.operation, selection_set=inlined.selection_set, directives=()
    )
    return print_ast(anonymous)


@cache
def selection_version(bulk_operation: str) -> int:
    """A number that changes when a bulk operation selects something else: what version of it read a row.

    Returns:
        A positive 31-bit integer, the same on every machine.
    """
    digest = hashlib.sha256(f"{API_VERSION}\n{bulk_query(bulk_operation)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class _Inline(Visitor):
    """Writes fragments out where they are spread, and the search filter in place of its variable."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode], query: str | None) -> None:
        super().__init__()
        self.fragments = fragments
        self.query = query

    def leave_selection_set(self, node: SelectionSetNode, *_: object) -> SelectionSetNode:
        selections = []
        for selection in node.selections:
            if isinstance(selection, FragmentSpreadNode):
                fragment = visit(self.fragments[selection.name.value], self)
                selections.extend(fragment.selection_set.selections)
            else:
                selections.append(selection)
        return SelectionSetNode(selections=tuple(selections))

    def leave_field(self, node: FieldNode, *_: object) -> FieldNode:
        arguments = []
        for argument in node.arguments:
            if not isinstance(argument.value, VariableNode):
                arguments.append(argument)
            elif self.query is not None:
                arguments.append(ArgumentNode(name=argument.name, value=StringValueNode(value=self.query, block=False)))
        return FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=tuple(arguments),
            directives=node.directives,
            selection_set=node.selection_set,
        )


@cache
def document() -> DocumentNode:
    """Every query file as one document."""
    folder = files("xeno_pipeline.shopify") / "queries"
    texts = [entry.read_text() for entry in sorted(folder.iterdir(), key=lambda e: e.name)]
    return parse("\n".join(texts), no_location=True)


@cache
def _operations() -> dict[str, DocumentNode]:
    return separate_operations(document())
