"""The query files as one GraphQL document, and the texts of single operations made from it.

Fragments are shared by all files. What is sent is one operation with just the fragments it uses.
"""

from __future__ import annotations

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


def operation_text(name: str) -> str:
    """The operation of that name with its fragments, without superfluous white space.

    Raises:
        KeyError: no file defines it.
    """
    return strip_ignored_characters(print_ast(_operations()[name]))


def bulk_text(name: str, query: str | None) -> str:
    """An operation as an anonymous one, its fragments and its search filter written out (see `queries.bulk_query`)."""
    operations = _operations()[name]
    fragments = {d.name.value: d for d in operations.definitions if isinstance(d, FragmentDefinitionNode)}
    (definition,) = (d for d in operations.definitions if isinstance(d, OperationDefinitionNode))
    inlined = visit(definition, _Inline(fragments, query))
    anonymous = OperationDefinitionNode(
        operation=definition.operation, selection_set=inlined.selection_set, directives=()
    )
    return print_ast(anonymous)


@cache
def document() -> DocumentNode:
    """Every query file as one document."""
    folder = files("xeno_pipeline.shopify") / "queries"
    texts = [entry.read_text() for entry in sorted(folder.iterdir(), key=lambda e: e.name)]
    return parse("\n".join(texts), no_location=True)


@cache
def _operations() -> dict[str, DocumentNode]:
    return separate_operations(document())


class _Inline(Visitor):
    """Replaces fragment spreads by their fields, and the search filter's variable by its value."""

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
