"""Bulk queries: what Shopify refuses of them, message by message as recorded, and how an accepted one is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    KnownFragmentNamesRule,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
    validate,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import get_argument_values, get_variable_values

from shopify_sandbox import access
from shopify_sandbox.bulk.projector import NestedConnection, NodeProjection, Projector
from shopify_sandbox.execution.connections import KINDS, Listing
from shopify_sandbox.model.money import Document
from shopify_sandbox.search.selection import UnsupportedError
from shopify_sandbox.search.syntax import SearchSyntaxError
from shopify_sandbox.state.store import Store

MAX_CONNECTIONS = 5
MAX_DEPTH = 2


class BulkQueryError(Exception):
    """A query that cannot run in bulk; `messages` are what Shopify says."""

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = messages


def check_bulk_query(schema: GraphQLSchema, text: str) -> DocumentNode:
    """Parse a bulk query.

    Raises:
        BulkQueryError: With the recorded messages, for what bulk does not take.
    """
    try:
        document = parse(text)
    except GraphQLSyntaxError as problem:
        raise BulkQueryError(f"Invalid bulk query: {syntax_message(problem)}") from None
    _refuse(validate(schema, document, [KnownFragmentNamesRule, NoFragmentCyclesRule]))
    operation = _operation(document)
    if operation.operation is not OperationType.QUERY:
        raise BulkQueryError("Invalid operation type. Only `query` operations are supported.")
    shape = _Shape(schema, document)
    shape.read(operation)
    problems = shape.problems()
    if problems:
        raise BulkQueryError(*problems)
    _refuse(validate(schema, document))
    return document


def _refuse(errors: list[GraphQLError]) -> None:
    if errors:
        raise BulkQueryError(*(f"Invalid bulk query: {error.message}" for error in errors))


def syntax_message(problem: GraphQLSyntaxError) -> str:
    """A syntax error in Shopify's words."""
    found = problem.description if hasattr(problem, "description") else problem.message
    unexpected = found.partition("Unexpected ")[2].rstrip(".") or found.partition("found ")[2].rstrip(".")
    return f"syntax error, unexpected {'end of file' if unexpected == '<EOF>' or not unexpected else unexpected}"


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        raise BulkQueryError("Bulk queries must contain exactly one operation.")
    return operations[0]


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}


@dataclass
class _Shape:
    """Where a query has connections. Read from the syntax: types are looked up only where the schema knows them."""

    schema: GraphQLSchema
    document: DocumentNode
    connections: int = 0
    depth: int = 0
    top_level_node: bool = False
    within_list: bool = False
    by_nodes: list[str] = field(default_factory=list)
    without_id: list[str] = field(default_factory=list)

    def read(self, operation: OperationDefinitionNode) -> None:
        self._fragments = _fragments(self.document)
        for selected in self._fields(operation.selection_set):
            self.top_level_node = self.top_level_node or selected.name.value in ("node", "nodes")
        self._walk(operation.selection_set, self.schema.query_type, 0, None, in_list=False)

    def _fields(self, selections: Any) -> Iterator[FieldNode]:
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                yield node
            elif hasattr(node, "selection_set"):
                yield from self._fields(node.selection_set)
            elif node.name.value in self._fragments:
                yield from self._fields(self._fragments[node.name.value].selection_set)

    def _walk(self, selections: Any, kind: Any, depth: int, parent: str | None, *, in_list: bool) -> None:
        for selected in self._fields(selections):
            name = selected.name.value
            definition = getattr(kind, "fields", {}).get(name)
            inner = {child.name.value: child for child in self._fields(selected.selection_set)}
            below = get_named_type(definition.type) if definition else None
            is_list = definition is not None and is_list_type(get_nullable_type(definition.type))
            if not inner.keys() & {"edges", "nodes"}:
                self._walk(selected.selection_set, below, depth, parent, in_list=in_list or is_list)
                continue
            self.connections += 1
            self.depth = max(self.depth, depth)
            self.within_list = self.within_list or in_list
            edges = inner.get("edges")
            nodes = [n for n in self._fields(edges and edges.selection_set) if n.name.value == "node"]
            if "nodes" in inner or not nodes:
                self.by_nodes.append(name)
                continue
            for node in nodes:
                self._node(name, node, _type_of(_type_of(below, "edges"), "node"), depth)

    def _node(self, connection: str, node: FieldNode, kind: Any, depth: int) -> None:
        before = self.connections
        self._walk(node.selection_set, kind, depth + 1, connection, in_list=False)
        has_id = any(child.name.value == "id" and child.alias is None for child in self._fields(node.selection_set))
        if self.connections > before and not has_id:
            self.without_id.append(connection)

    def problems(self) -> list[str]:
        """What Shopify would say, in its words."""
        found = []
        if self.top_level_node:
            found.append("Bulk queries cannot contain a top level `node` field.")
        if not self.connections:
            found.append("Bulk queries must contain at least one connection.")
        if self.by_nodes:
            fields = ", ".join(f"'{name}'" for name in self.by_nodes)
            found.append(
                "All connection fields in a bulk query must select their contents using 'edges' > 'node', "
                f"e.g: '{self.by_nodes[0]} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
                f"Invalid connection fields: {fields}."
            )
        if self.within_list:
            found.append("Queries that contain a connection field within a list field are not currently supported.")
        if self.depth > MAX_DEPTH:
            found.append(f"Bulk queries cannot contain connections with a nesting depth greater than {MAX_DEPTH}.")
        if self.connections > MAX_CONNECTIONS:
            found.append(f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections.")
        if self.without_id:
            found.append(
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and "
                f"must be of 'ID' return type. Connection fields without 'id': {', '.join(self.without_id)}."
            )
        return found


def _type_of(kind: Any, name: str) -> Any:
    definition = getattr(kind, "fields", {}).get(name)
    return get_named_type(definition.type) if definition else None


@dataclass
class Root:
    """A connection at the root of a bulk query: its rows, and how their documents are answered."""

    listing: Listing
    reverse: bool
    node: NodeProjection


def compile_bulk_query(store: Store, schema: GraphQLSchema, text: str) -> list[Root]:
    """Make a bulk query ready to run.

    Raises:
        ApiError: Where a scope is missing.
        BulkQueryError: For a query that bulk does not take.
        UnsupportedError: For what the sandbox does not play.
    """
    document = check_bulk_query(schema, text)
    operation, fragments = _operation(document), _fragments(document)
    variables = get_variable_values(schema, list(operation.variable_definitions or ()), {})
    if isinstance(variables, list):
        _refuse(variables)
        variables = {}
    query_type = schema.query_type
    assert query_type is not None
    projector = Projector(store, schema, fragments, variables)
    roots = []
    for nodes in collect_fields(schema, fragments, variables, query_type, operation.selection_set).values():
        name = nodes[0].name.value
        if name not in KINDS:
            raise UnsupportedError(f"`{name}` at the root of a bulk query is not part of this sandbox.")
        access.check("QueryRoot", name, store.scopes)
        arguments = get_argument_values(query_type.fields[name], nodes[0], variables)
        connection = get_named_type(query_type.fields[name].type)
        assert isinstance(connection, GraphQLObjectType)
        try:
            listing = Listing(store, name, arguments.get("query"), arguments.get("sortKey") or "ID")
        except SearchSyntaxError as problem:
            raise BulkQueryError(f"Invalid bulk query: {problem}.") from None
        roots.append(Root(listing, bool(arguments.get("reverse")), projector.node(connection, nodes)))
    return roots


def bulk_lines(roots: list[Root]) -> Iterator[tuple[bool, bytes]]:
    """The lines of a result, each parent before its children: whether it is a root object's, and the line."""
    for root in roots:
        rows = root.listing.rows[::-1] if root.reverse else root.listing.rows
        for _, found in root.listing.documents(rows):
            project, nested = root.node.by_type[found["__typename"]]
            yield True, orjson.dumps(project(found))
            for inner in nested:
                yield from _children(found, inner)


def _children(parent: Document, connection: NestedConnection) -> Iterator[tuple[bool, bytes]]:
    documents: list[Document] = parent[connection.name]
    if connection.test is not None:
        documents = [document for document in documents if connection.test(document)]
    if connection.reverse:
        documents = documents[::-1]
    by_type = connection.node.by_type
    parent_id = parent["id"]
    for document in documents:
        project, nested = by_type[document["__typename"]]
        answer = project(document)
        answer["__parentId"] = parent_id
        yield False, orjson.dumps(answer)
        for inner in nested:
            yield from _children(document, inner)
