"""Validation errors in Shopify's words (graphql-ruby's), for the mistakes one makes; others keep graphql-core's."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    parse,
    validate,
)

Rewrite = Callable[[re.Match[str], str], tuple[str, dict[str, Any]]]

_RULES: list[tuple[str, Rewrite]] = [
    (
        r"Cannot query field '(?P<field>\w+)' on type '(?P<type>\w+)'\.",
        lambda m, _: (
            f"Field '{m['field']}' doesn't exist on type '{m['type']}'",
            {"code": "undefinedField", "typeName": m["type"], "fieldName": m["field"]},
        ),
    ),
    (
        r"Unknown argument '(?P<argument>\w+)' on field '(?:\w+)\.(?P<field>\w+)'\.",
        lambda m, _: (
            f"Field '{m['field']}' doesn't accept argument '{m['argument']}'",
            {
                "code": "argumentNotAccepted",
                "name": m["field"],
                "typeName": "Field",
                "argumentName": m["argument"],
            },
        ),
    ),
    (
        r"Field '(?P<field>\w+)' argument '(?P<argument>\w+)' of type",
        lambda m, _: (
            f"Field '{m['field']}' is missing required arguments: {m['argument']}",
            {
                "code": "missingRequiredArguments",
                "className": "Field",
                "name": m["field"],
                "arguments": m["argument"],
            },
        ),
    ),
    (
        r"Field '(?P<field>\w+)' of type '(?P<type>[\w!\[\]]+)' must have a selection of subfields\.",
        lambda m, _: (
            f"Field must have selections (field '{m['field']}' returns {m['type'].strip('[]!')} but has no "
            f"selections. Did you mean '{m['field']} {{ ... }}'?)",
            {
                "code": "selectionMismatch",
                "nodeName": f"field '{m['field']}'",
                "typeName": m["type"].strip("[]!"),
            },
        ),
    ),
    (
        r"Variable '\$(?P<variable>\w+)' is not defined",
        lambda m, operation: (
            f"Variable ${m['variable']} is used by {operation} but not declared",
            {"code": "variableNotDefined", "variableName": m["variable"]},
        ),
    ),
    (
        r"Variable '\$(?P<variable>\w+)' is never used",
        lambda m, operation: (
            f"Variable ${m['variable']} is declared by {operation} but not used",
            {"code": "variableNotUsed", "variableName": m["variable"]},
        ),
    ),
]
_EXPECTED_TYPE = re.compile(
    r"'(\w+)' enum|(?:Expected value of type|expected type) '([\w!\[\]]+)'|^(\w+) cannot represent"
)


@lru_cache(maxsize=256)
def parse_and_validate(schema: GraphQLSchema, text: str) -> tuple[DocumentNode, list[dict[str, Any]]]:
    """A query and what is wrong with it, as an answer's `errors` put it.

    Raises:
        GraphQLSyntaxError: For text that is no GraphQL.
    """
    document = parse(text)
    return document, [_rewritten(error, document) for error in validate(schema, document)]


def _rewritten(error: GraphQLError, document: DocumentNode) -> dict[str, Any]:
    path = _path(document, error.nodes[0]) if error.nodes else []
    operation = path[0].partition(" ")[2] if path and " " in path[0] else "anonymous query"
    message, extensions = error.message, {"code": "invalid"}
    argument = _bad_argument(error, document)
    if argument is not None:
        message, extensions, path = argument
    else:
        for pattern, rewrite in _RULES:
            match = re.match(pattern, error.message)
            if match:
                message, extensions = rewrite(match, operation)
                break
    content: dict[str, Any] = {"message": message}
    if error.locations:
        content["locations"] = [{"line": at.line, "column": at.column} for at in error.locations[:1]]
    return content | {"path": path, "extensions": extensions}


def _bad_argument(error: GraphQLError, document: DocumentNode) -> tuple[str, dict[str, Any], list[str]] | None:
    """A literal that its argument does not take: recorded as `argumentLiteralsIncompatible`."""
    value = error.nodes[0] if error.nodes else None
    kind = _EXPECTED_TYPE.search(error.message)
    if value is None or kind is None:
        return None
    found = _argument_of(document, value)
    if found is None:
        return None
    field, argument, field_path = found
    written = error.message.rpartition(": ")[2] if kind[3] else _written(value)
    expected = next(group for group in kind.groups() if group)
    return (
        f"Argument '{argument}' on Field '{field}' has an invalid value ({written}). Expected type '{expected}'.",
        {"code": "argumentLiteralsIncompatible", "typeName": "Field", "argumentName": argument},
        [*field_path, argument],
    )


def _written(value: Node) -> str:
    return value.loc.source.body[value.loc.start : value.loc.end] if value.loc else ""


def _argument_of(document: DocumentNode, value: Node) -> tuple[str, str, list[str]] | None:
    """Field, argument and the field's path, of the argument that has a value."""
    for path, field in _fields(document):
        for argument in field.arguments:
            if argument.value is value:
                return field.name.value, argument.name.value, path
    return None


def _path(document: DocumentNode, node: Node) -> list[str]:
    """Where a node stands, as graphql-ruby writes paths: `query Name`, then response keys."""
    for path, field in _fields(document):
        if field is node or node in field.arguments:
            return path
    for definition in document.definitions:
        span = definition.loc if isinstance(definition, OperationDefinitionNode) else None
        if span and node.loc and span.start <= node.loc.start <= span.end:
            return [_name(definition)]
    return []


def _name(definition: Any) -> str:
    if isinstance(definition, FragmentDefinitionNode):
        return f"fragment {definition.name.value}"
    kind = definition.operation.value
    return f"{kind} {definition.name.value}" if definition.name else str(kind)


def _fields(document: DocumentNode) -> list[tuple[list[str], FieldNode]]:
    found: list[tuple[list[str], FieldNode]] = []

    def walk(selections: Any, path: list[str]) -> None:
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                here = [*path, node.alias.value if node.alias else node.name.value]
                found.append((here, node))
                walk(node.selection_set, here)
            elif isinstance(node, InlineFragmentNode):
                condition = f"... on {node.type_condition.name.value}" if node.type_condition else "..."
                walk(node.selection_set, [*path, condition])

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            walk(definition.selection_set, [_name(definition)])
    return found
