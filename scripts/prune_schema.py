"""Prune Shopify's Admin schema to what the pipeline's queries reach, without its descriptions.

    python scripts/prune_schema.py admin-2026-10.graphql

writes the two files of `shopify_sandbox/data/` that the sandbox answers by: `schema.graphql` (the types, fields and
arguments that the documents in `xeno_pipeline/shopify/queries/` use, directives and deprecations dropped) and
`search_fields.json` (per connection, the filters that its `query:` argument documents, read from the schema's own
descriptions). Run it when a query or the API version changes.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
    parse,
    print_schema,
    validate,
    visit,
)

PROJECT_DIR = Path(__file__).parents[1]
QUERIES = PROJECT_DIR / "xeno_pipeline" / "shopify" / "queries"
DATA = PROJECT_DIR / "shopify_sandbox" / "data"
SEARCH_ROW = re.compile(r"^\| ([a-z_]+) \|", re.MULTILINE)


class Reached(Visitor):
    """Collects the (type, field) pairs a document selects and the types its fragments name."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.fields: dict[str, set[str]] = defaultdict(set)

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.types.get_parent_type()
        if parent is not None:
            self.fields[parent.name]
            if node.name.value != "__typename":
                self.fields[parent.name].add(node.name.value)


def reached_fields(schema: GraphQLSchema, document: DocumentNode) -> dict[str, set[str]]:
    """The fields selected of each type; what an interface is asked for, its reachable types answer too."""
    errors = validate(schema, document)
    if errors:
        raise SystemExit("\n".join(str(error) for error in errors))
    types = TypeInfo(schema)
    reached = Reached(types)
    visit(document, TypeInfoVisitor(types, reached))
    for name, fields in list(reached.fields.items()):
        kind = schema.type_map[name]
        if isinstance(kind, GraphQLInterfaceType) and name != "Node":
            for implementation in schema.get_possible_types(kind):
                reached.fields[implementation.name] |= fields
    return reached.fields


def prune(schema: GraphQLSchema, fields: dict[str, set[str]]) -> GraphQLSchema:
    """A schema of the reached types alone, each with its reached fields and all of their arguments."""
    kept: dict[str, GraphQLNamedType] = {}

    def keep(named: GraphQLNamedType) -> None:
        if named.name in kept or is_specified_scalar_type(named):
            return
        kept[named.name] = named
        named.description = None
        if isinstance(named, GraphQLEnumType):
            for value in named.values.values():
                value.description = value.deprecation_reason = None
        elif isinstance(named, GraphQLInputObjectType):
            for input_field in named.fields.values():
                input_field.description = input_field.deprecation_reason = None
                keep(get_named_type(input_field.type))
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            wanted = fields.get(named.name, set())
            if any(interface.name == "Node" for interface in named.interfaces):
                wanted = wanted | {"id"}
            named.fields = {name: field for name, field in named.fields.items() if name in wanted}
            named.interfaces = tuple(i for i in named.interfaces if i.name in fields or i.name == "Node")
            for field in named.fields.values():
                field.description = field.deprecation_reason = None
                field.args = {n: a for n, a in field.args.items() if a.deprecation_reason is None}
                for argument in field.args.values():
                    argument.description = None
                    keep(get_named_type(argument.type))
                keep(get_named_type(field.type))
            for interface in named.interfaces:
                keep(interface)
        elif isinstance(named, GraphQLScalarType):
            named.specified_by_url = None

    fields["Node"].add("id")
    for name in fields:
        keep(schema.type_map[name])
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    return GraphQLSchema(
        query=schema.query_type, mutation=schema.mutation_type, types=[kept[name] for name in sorted(kept)]
    )


def search_fields(schema: GraphQLSchema, fields: dict[str, set[str]]) -> dict[str, list[str]]:
    """Per connection field reached, the filters that its `query` argument documents."""
    documented: dict[str, list[str]] = {}
    for type_name in sorted(fields):
        kind = schema.type_map[type_name]
        if not isinstance(kind, GraphQLObjectType):
            continue
        for name, field in kind.fields.items():
            if name in fields[type_name] and "query" in field.args:
                table = SEARCH_ROW.findall(field.args["query"].description or "")
                if table:
                    key = name if kind is schema.query_type else f"{type_name}.{name}"
                    documented[key] = sorted(set(table) - {"name", "default"} | ({"name"} & set(table[1:])))
    return documented


def main(path: str, target: Path = DATA) -> None:
    schema = build_schema(Path(path).read_text(), assume_valid=True)
    source = "\n".join(p.read_text() for p in sorted(QUERIES.glob("*.graphql")))
    fields = reached_fields(schema, parse(source))
    searchable = search_fields(schema, fields)
    (target / "search_fields.json").write_text(json.dumps(searchable, indent=2) + "\n")
    (target / "schema.graphql").write_text(print_schema(prune(schema, fields)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
