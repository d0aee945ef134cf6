"""The Admin schema (pruned to what this package's queries reach) with resolvers over a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    build_schema,
    is_introspection_type,
)

from shopify_sandbox import access
from shopify_sandbox.bulk.operations import BulkOperations
from shopify_sandbox.errors import ApiError, access_denied
from shopify_sandbox.execution.connections import KINDS, Listing, Window, list_page
from shopify_sandbox.execution.references import REFERENCES, STUB_FIELDS, parse_gid, resolve
from shopify_sandbox.model.documents import gid
from shopify_sandbox.model.money import Document
from shopify_sandbox.search.selection import Selection, UnsupportedError, select
from shopify_sandbox.search.syntax import SearchSyntaxError
from shopify_sandbox.segments.members import count_members
from shopify_sandbox.state.store import Store
from shopify_sandbox.webhooks.subscriptions import Subscriptions

MAX_IDS = 250
_LISTS = {
    ("Order", "lineItems"),
    ("Order", "agreements"),
    ("Product", "variants"),
    ("AbandonedCheckout", "lineItems"),
    ("OrderAgreement", "sales"),
    ("OrderEditAgreement", "sales"),
    ("RefundAgreement", "sales"),
    ("ReturnAgreement", "sales"),
}
Info = GraphQLResolveInfo


@dataclass
class Request:
    """What one GraphQL request is executed with: its store, and what comes of it besides data."""

    store: Store
    bulk: BulkOperations
    warnings: list[Document] = field(default_factory=list)
    scopes: frozenset[str] = frozenset()
    bulk_started: int = 0


@lru_cache
def admin_schema() -> GraphQLSchema:
    """The executable schema."""
    text = resources.files("shopify_sandbox").joinpath("data/schema.graphql").read_text()
    schema = build_schema(text)
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind):
            for name, definition in kind.fields.items():
                definition.resolve = _resolver(kind.name, name)
    return schema


def resolve_type(value: Any, _info: Info, _kind: GraphQLAbstractType) -> str:
    """The concrete type of a document."""
    return str(value["__typename"])


def _resolver(owner: str, name: str) -> Callable[..., Any]:
    if owner in ("QueryRoot", "Mutation"):
        return _checked(owner, name, _ROOT_FIELDS[name])
    if (owner, name) in REFERENCES:
        return _checked(owner, name, _reference)
    if (owner, name) in _LISTS:
        return _inner_connection
    if owner == "Order" and name in ("refunds", "transactions", "fulfillments"):
        return _inner_list
    return _plain


def _checked(owner: str, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    def resolver(source: Any, info: Info, **arguments: Any) -> Any:
        access.check(owner, name, info.context.scopes)
        return inner(source, info, **arguments)

    return resolver


def _plain(source: Document, info: Info) -> Any:
    return source[info.field_name]


def _reference(source: Document, info: Info) -> Document | None:
    wanted = {name for node in info.field_nodes for name in _field_names(info, node.selection_set)}
    return resolve(info.context.store, source[info.field_name], whole=not wanted <= STUB_FIELDS)


def _field_names(info: Info, selections: SelectionSetNode | None) -> list[str]:
    names: list[str] = []
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            names.append(node.name.value)
        elif isinstance(node, InlineFragmentNode):
            names += _field_names(info, node.selection_set)
        elif isinstance(node, FragmentSpreadNode):
            names += _field_names(info, info.fragments[node.name.value].selection_set)
    return names


def _inner_connection(source: Document, info: Info, **arguments: Any) -> Document:
    documents = source[info.field_name]
    query = arguments.pop("query", None)
    if arguments.pop("sortKey", "POSITION") != "POSITION":
        raise UnsupportedError("Variants are sorted by position only in this sandbox.")
    if query:
        documents = _matching(info, f"{info.parent_type.name}.{info.field_name}", query, documents)
    return list_page(documents, Window(**arguments))


def _matching(info: Info, connection: str, query: str, documents: list[Document]) -> list[Document]:
    """What a search leaves of a list of documents."""
    try:
        selection = select(connection, query, None, info.context.store.clock())
    except SearchSyntaxError as problem:
        raise _unreadable(problem) from None
    _warn(info, query, selection)
    return documents if selection.documents is None else [d for d in documents if selection.documents(d)]


def _unreadable(problem: SearchSyntaxError) -> ApiError:
    return ApiError(f"Invalid search query: {problem}.", "BAD_REQUEST")


def _warn(info: Info, query: str | None, search: Selection | Listing) -> None:
    if search.warnings:
        request: Request = info.context
        request.warnings.append(
            {"path": info.path.as_list(), "query": query, "parsed": search.parsed, "warnings": search.warnings}
        )


def _inner_list(source: Document, info: Info, first: int | None = None, **arguments: Any) -> list[Document]:
    if any(value is not None for value in arguments.values()):
        raise UnsupportedError(f"Arguments of {info.field_name} other than `first` are not part of this sandbox.")
    documents: list[Document] = source[info.field_name]
    return documents if first is None else documents[:first]


def _listing(info: Info, query: str | None, sort_key: str = "ID") -> Listing:
    try:
        listing = Listing(info.context.store, info.field_name, query, sort_key)
    except SearchSyntaxError as problem:
        raise _unreadable(problem) from None
    _warn(info, query, listing)
    return listing


def _connection(
    _root: Any,
    info: Info,
    sortKey: str,  # noqa: N803  (GraphQL's names)
    query: str | None = None,
    savedSearchId: str | None = None,  # noqa: N803
    **window: Any,
) -> Document:
    _no_saved_search(savedSearchId)
    asked = Window(**window)
    asked.check()
    return _listing(info, query, sortKey).page(asked)


def _count(
    _root: Any,
    info: Info,
    query: str | None = None,
    limit: int | None = None,
    savedSearchId: str | None = None,  # noqa: N803
) -> Document:
    _no_saved_search(savedSearchId)
    found, limited = _listing(info, query).count(limit)
    return {"count": found, "precision": "AT_LEAST" if limited else "EXACT"}


def _segment_members(
    _root: Any,
    info: Info,
    query: str | None = None,
    timezone: str | None = None,
    first: int | None = None,
    **others: Any,
) -> Document:
    if query is None or any(others.values()):
        raise UnsupportedError("Members of a segment are asked for by `query` in this sandbox.")
    Window(first=first).check()
    return {"totalCount": count_members(info.context.store, query, timezone)}


def _no_saved_search(saved: str | None) -> None:
    if saved is not None:
        raise UnsupportedError("Saved searches are not part of this sandbox.")


def _find(info: Info, identity: str, kind: str | None = None) -> Document | None:
    """The object of a global id that a query names; of any kind, or of one."""
    parsed = parse_gid(identity)
    if parsed is None:
        raise ApiError(f"Invalid global id '{identity}'", "argumentLiteralsIncompatible", typeName="CoercionError")
    if kind not in (None, parsed[0]):
        return None
    request: Request = info.context
    needed = access.KIND_SCOPES.get(parsed[0])
    if needed is not None and needed not in request.scopes:
        raise access_denied(info.field_name, needed)
    if parsed[0] == "Shop":
        return _shop(None, info) if parsed[1] == request.store.shop_id else None
    if parsed[0] == "BulkOperation":
        return request.bulk.document(parsed[1])
    if needed is None and parsed[0] in info.schema.type_map:
        raise UnsupportedError(f"Finding a {parsed[0]} by its id is not part of this sandbox.")
    return request.store.find(*parsed)


def _node(_root: Any, info: Info, id: str) -> Document | None:
    return _find(info, id)


def _nodes(_root: Any, info: Info, ids: list[str]) -> list[Document | None]:
    if len(ids) > MAX_IDS:
        raise ApiError(
            f"The input array size of {len(ids)} is greater than the maximum allowed of {MAX_IDS}.",
            "MAX_INPUT_SIZE_EXCEEDED",
        )
    return [_find(info, identity) for identity in ids]


def _order(_root: Any, info: Info, id: str) -> Document | None:
    return _find(info, id, "Order")


def _product(_root: Any, info: Info, id: str) -> Document | None:
    return _find(info, id, "Product")


def _shop(_root: Any, info: Info) -> Document:
    store: Store = info.context.store
    return store.shop_document()


def _installation(_root: Any, info: Info) -> Document:
    scopes = [{"handle": scope} for scope in info.context.store.scopes]
    return {"__typename": "AppInstallation", "id": gid("AppInstallation", 1), "accessScopes": scopes}


def _bulk_operation(_root: Any, info: Info, id: str) -> Document | None:
    return _find(info, id, "BulkOperation")


def _bulk_operations(
    _root: Any,
    info: Info,
    sortKey: str,  # noqa: N803
    query: str | None = None,
    **window: Any,
) -> Document:
    request: Request = info.context
    asked = Window(**window)
    asked.check()
    # Recorded, and in the schema's prose: the newest come first, unless reversed.
    column = "createdAt" if sortKey == "CREATED_AT" else "completedAt"
    operations = sorted(
        request.bulk.documents(), key=lambda o: (o[column] or "", int(o["id"].rpartition("/")[2])), reverse=True
    )
    if query:
        operations = _matching(info, "bulkOperations", query, operations)
    return list_page(operations, asked)


def _run_bulk_query(_root: Any, info: Info, query: str, groupObjects: bool) -> Document:  # noqa: N803
    request: Request = info.context
    started = request.bulk.run(admin_schema(), query, grouped=groupObjects)
    request.bulk_started += started["bulkOperation"] is not None
    return started


def _cancel_bulk_operation(_root: Any, info: Info, id: str) -> Document:
    request: Request = info.context
    parsed = parse_gid(id)
    return request.bulk.cancel(parsed[1] if parsed else 0)


def _subscriptions(_root: Any, info: Info, sortKey: str, **arguments: Any) -> Document:  # noqa: N803
    if sortKey != "ID" or arguments.keys() & {"query", "topics", "uri", "format"}:
        raise UnsupportedError("Webhook subscriptions are listed whole, by id, in this sandbox.")
    asked = Window(**arguments)
    asked.check()
    return list_page(Subscriptions(info.context.store).documents(), asked)


def _create_subscription(_root: Any, info: Info, topic: str, webhookSubscription: Document) -> Document:  # noqa: N803
    request: Request = info.context
    return Subscriptions(request.store).create(topic, webhookSubscription, request.scopes)


def _update_subscription(_root: Any, info: Info, id: str, webhookSubscription: Document) -> Document:  # noqa: N803
    return Subscriptions(info.context.store).update(id, webhookSubscription)


def _delete_subscription(_root: Any, info: Info, id: str) -> Document:
    return Subscriptions(info.context.store).delete(id)


_ROOT_FIELDS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(KINDS, _connection),
    **{f"{name}Count": _count for name in KINDS},
    "node": _node,
    "nodes": _nodes,
    "order": _order,
    "product": _product,
    "shop": _shop,
    "currentAppInstallation": _installation,
    "customerSegmentMembers": _segment_members,
    "bulkOperation": _bulk_operation,
    "bulkOperations": _bulk_operations,
    "bulkOperationRunQuery": _run_bulk_query,
    "bulkOperationCancel": _cancel_bulk_operation,
    "webhookSubscriptions": _subscriptions,
    "webhookSubscriptionCreate": _create_subscription,
    "webhookSubscriptionUpdate": _update_subscription,
    "webhookSubscriptionDelete": _delete_subscription,
}
