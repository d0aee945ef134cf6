"""The queries: valid, cheap enough, and fit for bulk."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLList,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    get_nullable_type,
    parse,
    print_schema,
    validate,
    visit,
)
from graphql.language import DocumentNode

import shopify_sandbox
from shopify_sandbox.cost import QueryCost
from xeno_pipeline.extraction.streams import STREAMS, Stream
from xeno_pipeline.shopify import pagination, queries, query_documents
from xeno_pipeline.shopify.batch_size import MAX_PAGE
from xeno_pipeline.shopify.client import FIRST_COST
from xeno_pipeline.shopify.queries import bulk_query, operation, selection_version
from xeno_pipeline.shopify.throttle import MAX_QUERY_COST

DATA = Path(shopify_sandbox.__file__).parent / "data"
"""What the sandbox answers by: Shopify's schema, pruned to what the queries reach."""
BULK = [stream.bulk for stream in STREAMS]
NAMES = sorted(
    d.name.value for d in query_documents.document().definitions if isinstance(d, OperationDefinitionNode) and d.name
)

with_full_schema = pytest.mark.skipif(
    "XENO_SHARED" not in os.environ,
    reason="XENO_SHARED, the folder that holds Shopify's full schema, is not set: it is too large to carry along",
)


@cache
def pruned_schema() -> GraphQLSchema:
    return build_schema((DATA / "schema.graphql").read_text())


@cache
def full_schema() -> GraphQLSchema:
    path = Path(os.environ["XENO_SHARED"]) / "shopify" / f"admin-{queries.API_VERSION}.graphql"
    return build_schema(path.read_text(), assume_valid=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_query_is_valid_by_the_sandboxs_schema(name: str) -> None:
    assert validate(pruned_schema(), parse(operation(name).text)) == []


@with_full_schema
def test_every_query_is_valid_by_shopifys_full_schema() -> None:
    assert [error for name in NAMES for error in validate(full_schema(), parse(operation(name).text))] == []


@with_full_schema
def test_the_sandboxs_schema_is_what_the_script_makes_of_the_full_one(tmp_path: Path) -> None:
    schema = str(Path(os.environ["XENO_SHARED"]) / "shopify" / f"admin-{queries.API_VERSION}.graphql")
    _prune_script().main(schema, tmp_path)
    for name in ("schema.graphql", "search_fields.json"):
        assert (tmp_path / name).read_text() == (DATA / name).read_text()


def test_the_sandboxs_schema_holds_no_prose() -> None:
    text = (DATA / "schema.graphql").read_text()
    assert '"' not in re.sub(r'= "[^"\n]*"', "", text)  # a quote is a default value's or a description's
    assert "#" not in text


def test_the_sandboxs_schema_holds_only_what_the_queries_reach() -> None:
    script = _prune_script()
    schema = build_schema((DATA / "schema.graphql").read_text())
    reached = script.prune(schema, script.reached_fields(schema, query_documents.document()))
    assert print_schema(reached) == print_schema(pruned_schema())


# --- paged queries ---


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_page_costs_less_than_one_query_may_at_any_size(stream: Stream) -> None:
    """By the sandbox's model of costs, which reproduces the recorded ones."""
    for size in (stream.pages.first, MAX_PAGE):
        assert requested_cost(stream.pages.page, first=size) < MAX_QUERY_COST
        assert requested_cost(stream.id_pages.page, first=size) < MAX_QUERY_COST
        assert requested_cost(stream.pages.by_id, ids=["gid://shopify/Order/1"] * size) < MAX_QUERY_COST


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_costs_no_more_at_first_than_it_is_thought_to(name: str) -> None:
    firsts = {stream.pages.page: stream.pages.first for stream in STREAMS} | {
        name: size for name, _, size in pagination._MORE_CHILDREN.values()
    }
    assert requested_cost(name, first=firsts.get(name, 100)) <= FIRST_COST


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_filters_and_the_order_of_a_paged_read_are_documented(stream: Stream) -> None:
    """Shopify ignores a filter that it does not document, and sends everything."""
    documented = json.loads((DATA / "search_fields.json").read_text())
    assert {"updated_at", "id"} <= set(documented[stream.pages.connection])
    arguments = pruned_schema().query_type.fields[stream.pages.connection].args  # type: ignore[union-attr]
    sort_keys = get_named_type(arguments["sortKey"].type).values
    assert {stream.pages.sort_key, "ID"} <= set(sort_keys)


def test_more_sales_of_an_agreement_are_asked_for_by_a_documented_filter() -> None:
    assert "id" in json.loads((DATA / "search_fields.json").read_text())["Order.agreements"]


@pytest.mark.parametrize("kind", ["page", "by_id"])
def test_every_nested_connection_can_be_paged_to_its_end(kind: str) -> None:
    documents = [parse(operation(getattr(stream.pages, kind)).text) for stream in STREAMS]
    nested = [c for document in documents for c in connections(document) if c.parent != "QueryRoot"]
    assert {(c.parent, c.field) for c in nested} == {*pagination._MORE_CHILDREN, ("SalesAgreement", "sales")}
    assert all(connection.selected == {"nodes", "pageInfo"} for connection in nested)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_pages_and_bulk_select_the_same_fields(stream: Stream) -> None:
    """So that a row is the same whatever way it came."""
    selected = [
        {path for path in leaves(parse(text)) if not path.endswith(("hasNextPage", "endCursor"))}
        for text in (bulk_query(stream.bulk), operation(stream.pages.page).text, operation(stream.pages.by_id).text)
    ]
    assert selected[0] == selected[1] == selected[2]
    assert selected[0] >= {"id", "updatedAt"}


# --- bulk queries: https://shopify.dev/docs/api/usage/bulk-operations/queries#operation-restrictions ---


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_query_is_one_anonymous_operation_without_variables_or_fragments(name: str) -> None:
    (definition,) = parse(bulk_query(name, query="updated_at:>'2026-01-01'")).definitions
    assert isinstance(definition, OperationDefinitionNode)
    assert definition.name is None
    assert not definition.variable_definitions
    assert "$" not in bulk_query(name)


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_query_is_valid_but_for_the_page_sizes_that_bulk_has_not(name: str) -> None:
    assert validate(pruned_schema(), parse(bulk_query(name))) == []


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_query_keeps_to_the_limits_on_connections(name: str) -> None:
    found = connections(parse(bulk_query(name)))
    assert 1 <= len(found) <= 5
    assert max(connection.depth for connection in found) <= 2
    assert not any(connection.in_list for connection in found)


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_query_selects_edges_and_nodes_with_their_id_and_typename(name: str) -> None:
    for connection in connections(parse(bulk_query(name))):
        assert connection.selected == {"edges"}
        assert {"id", "__typename"} <= connection.of_node


def test_a_bulk_query_takes_its_filter_in_the_variables_place() -> None:
    assert "query: \"created_at:>'2026-01-01'\"" in bulk_query("OrdersBulk", query="created_at:>'2026-01-01'")
    assert "query:" not in bulk_query("OrdersBulk")


def test_the_version_of_a_selection_is_its_own_and_stays() -> None:
    versions = {name: selection_version(name) for name in BULK}
    assert len(set(versions.values())) == len(BULK)
    assert all(0 < version < 2**31 for version in versions.values())
    assert versions == {name: selection_version.__wrapped__(name) for name in BULK}


# --- reading documents ---


class Connection:
    """A connection that a document selects."""

    def __init__(self, parent: str, field: str, depth: int, in_list: bool, node: FieldNode) -> None:
        self.parent, self.field, self.depth, self.in_list = parent, field, depth, in_list
        self.selected = names(node)
        self.of_node = {
            name
            for edges in node.selection_set.selections  # type: ignore[union-attr]
            if isinstance(edges, FieldNode) and edges.selection_set
            for inner in edges.selection_set.selections
            if isinstance(inner, FieldNode)
            for name in names(inner)
        }


def names(node: FieldNode) -> set[str]:
    """The unaliased fields selected right below a field."""
    selections = node.selection_set.selections if node.selection_set else ()
    return {child.name.value for child in selections if isinstance(child, FieldNode) and child.alias is None}


def connections(document: DocumentNode) -> list[Connection]:
    """The connections of a document without named fragments, or of one whose fragments are written out."""
    return _walk(_inlined(document))[0]


def leaves(document: DocumentNode) -> set[str]:
    """The paths of the fields without a selection, below the root field, wrappers of connections left out."""
    return {path for path in _walk(_inlined(document))[1] if path}


def _walk(document: DocumentNode) -> tuple[list[Connection], set[str]]:
    types = TypeInfo(pruned_schema())
    found: list[Connection] = []
    paths: set[str] = set()
    lists: list[bool] = []
    path: list[str] = []
    depths: list[bool] = []

    class Walker(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            kind, parent = types.get_type(), types.get_parent_type()
            assert kind is not None
            assert parent is not None
            is_connection = get_named_type(kind).name.endswith("Connection")
            name = node.name.value
            if is_connection:
                found.append(Connection(parent.name, name, sum(depths), any(lists), node))
            path.append("" if name in ("edges", "node", "nodes") else name)
            lists.append(isinstance(get_nullable_type(cast(Any, kind)), GraphQLList) and name not in ("edges", "nodes"))
            depths.append(is_connection)
            if node.selection_set is None:
                paths.add("/".join(part for part in path[1:] if part))

        def leave_field(self, *_: Any) -> None:
            path.pop()
            lists.pop()
            depths.pop()

    visit(document, TypeInfoVisitor(types, Walker()))
    return found, paths


def _inlined(document: DocumentNode) -> DocumentNode:
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    (definition,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return DocumentNode(definitions=(visit(definition, query_documents._Inline(fragments, None)),))


def requested_cost(name: str, **variables: Any) -> int:
    document = parse(operation(name).text)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    (definition,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    defaults = {d.variable.name.value: getattr(d.default_value, "value", None) for d in definition.variable_definitions}
    return QueryCost(pruned_schema(), definition, fragments, defaults | variables).requested


def _prune_script() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "prune_schema.py"
    spec = importlib.util.spec_from_file_location("prune_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
