"""The GraphQL endpoint of one store: cost, faults, execution, and answers in Shopify's shapes."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    execute_sync,
)

from shopify_sandbox import errors
from shopify_sandbox.bulk.operations import BulkOperations
from shopify_sandbox.bulk.query import syntax_message
from shopify_sandbox.controls.faults import Faults
from shopify_sandbox.cost import MAX_QUERY_COST, CostBucket, QueryCost
from shopify_sandbox.execution.schema import Request, admin_schema, resolve_type
from shopify_sandbox.execution.validation import parse_and_validate
from shopify_sandbox.model.money import Document
from shopify_sandbox.oauth import OAuthServer
from shopify_sandbox.state.store import Store
from shopify_sandbox.webhooks.sender import WebhookSender


class BadRequestError(Exception):
    """A request body that is no GraphQL request."""


@dataclass
class Stats:
    """What happened at one store's endpoint since the last reset."""

    requests: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    throttled: int = 0
    points: int = 0
    bulk_operations: int = 0
    downloads: int = 0
    tokens: int = 0
    """How many times tokens were issued."""


class AdminApi:
    """Executes requests against a store. Thread-safe: a request holds the store's lock while it runs."""

    def __init__(self, store: Store, bulk: BulkOperations, faults: Faults, monotonic: Callable[[], float]) -> None:
        self.store = store
        self.bulk = bulk
        self.faults = faults
        self.oauth = OAuthServer(store)
        self.webhooks = WebhookSender(store, lambda: self.oauth.secret)
        self.bucket = CostBucket(store.plan, monotonic)
        self.stats = Stats()
        self.handles = store.handles
        """All that the store has had, the one that it has now last."""
        self.latency = 0.0
        """How many seconds every answer takes at least."""

    def rename(self, handle: str) -> None:
        """Give the store another handle; its former ones lead to that one."""
        handles = [*(each for each in self.handles if each != handle), handle]
        self.store.overlay.set("handles", handles)
        self.handles = handles

    def admits(self, token: str | None) -> bool:
        """Whether a request with this access token may come in."""
        with self.store.lock:
            return self.store.token_is_valid(token) or self.oauth.admits(token)

    def authorize(self, query: Mapping[str, str]) -> str:
        """See `OAuthServer.authorize`."""
        with self.store.changing():
            return self.oauth.authorize(query)

    def grant(self, form: Mapping[str, str]) -> Document:
        """See `OAuthServer.token`."""
        with self.store.changing():
            answer = self.oauth.token(form)
        self.stats.tokens += 1
        return answer

    def answer(self, body: Any, fault: dict[str, Any] | None = None) -> Document:
        """The answer to a request body.

        Args:
            body: The parsed JSON.
            fault: What should go wrong, of the kinds that show in the answer.

        Raises:
            BadRequestError: For a body that is no GraphQL request.
            UnsupportedError: For what the sandbox does not play.
        """
        text, variables = _read(body)
        schema = admin_schema()
        try:
            document, problems = parse_and_validate(schema, text)
        except GraphQLSyntaxError as problem:
            at = problem.locations[0] if problem.locations else None
            where = f" at [{at.line}, {at.column}]" if at else ""
            content = errors.body(f"{syntax_message(problem)}{where}")
            return {"errors": [content | ({"locations": [{"line": at.line, "column": at.column}]} if at else {})]}
        if problems:
            return {"errors": problems}
        operation = _operation(document, body.get("operationName"))
        if operation is None:
            return {"errors": [errors.body("An operation name is required", "operationNameMissing")]}
        if schema.get_root_type(operation.operation) is None:
            return {"errors": [errors.no_such_root(operation.operation.value)]}
        name = operation.name.value if operation.name else "anonymous"
        with self.store.lock:
            self.stats.operations[name] += 1
            cost = QueryCost(schema, operation, _fragments(document), _with_defaults(operation, variables))
            return self._charged(document, operation, variables, cost, fault)

    def _charged(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any],
        cost: QueryCost,
        fault: dict[str, Any] | None,
    ) -> Document:
        if cost.requested > MAX_QUERY_COST:
            return {
                "errors": [errors.max_cost_exceeded(cost.requested, MAX_QUERY_COST)],
                "extensions": {"cost": self.bucket.report(cost.requested, None)},
            }
        kind = fault["kind"] if fault else None
        if kind == "throttled" or not self.bucket.charge(cost.requested):
            self.stats.throttled += 1
            return {
                "errors": [errors.THROTTLED],
                "extensions": {"cost": self.bucket.report_throttled(cost.requested)},
            }
        if fault and kind == "internal_error":
            return {"errors": [errors.internal_error(str(uuid.uuid4()))]}
        if fault and kind == "timeout":
            return {"errors": [errors.TIMEOUT]}
        if fault and kind == "access_denied":
            denied = errors.access_denied(fault.get("field", "orders"), fault.get("scope", "read_orders"))
            return {"data": None, "errors": [denied.formatted]}
        request = Request(self.store, self.bulk, scopes=frozenset(self.store.scopes))
        result = execute_sync(
            admin_schema(),
            document,
            context_value=request,
            variable_values=variables,
            operation_name=operation.name.value if operation.name else None,
            type_resolver=resolve_type,
        )
        self.stats.bulk_operations += request.bulk_started
        actual = cost.actual(result.data)
        self.bucket.give_back(cost.requested - actual)
        self.stats.points += actual
        return self._formatted(result, request, self.bucket.report(cost.requested, actual))

    def _formatted(self, result: ExecutionResult, request: Request, cost: Document) -> Document:
        answer: Document = {"data": result.data}
        if result.errors:
            answer["errors"] = [_formatted_error(error) for error in result.errors]
        answer["extensions"] = {"cost": cost}
        if request.warnings:
            answer["extensions"]["search"] = request.warnings
        return answer


def operation_name(body: Any) -> str | None:
    """The name of the operation that a request body asks for; None where it has none, or is none."""
    try:
        text, _ = _read(body)
        document, _ = parse_and_validate(admin_schema(), text)
    except (BadRequestError, GraphQLSyntaxError):
        return None
    operation = _operation(document, body.get("operationName"))
    return operation.name.value if operation and operation.name else None


def asked_for(body: Any) -> int:
    """How many objects a request asks for by its variables: those of a page, or so many ids."""
    variables = body.get("variables") if isinstance(body, dict) else None
    if not isinstance(variables, dict):
        return 1
    ids, first = variables.get("ids"), variables.get("first")
    return len(ids) if isinstance(ids, list) else first if isinstance(first, int) else 1


def _read(body: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise BadRequestError("Required parameter missing or invalid: query")
    variables = body.get("variables") or {}
    if not isinstance(variables, dict):
        raise BadRequestError("Required parameter missing or invalid: variables")
    return body["query"], variables


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name:
        return next((o for o in operations if o.name and o.name.value == name), None)
    return operations[0] if len(operations) == 1 else None


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}


def _with_defaults(operation: OperationDefinitionNode, variables: dict[str, Any]) -> dict[str, Any]:
    """The variables, with the defaults of those not given (as far as page sizes need them: integers)."""
    defaults = {
        d.variable.name.value: getattr(d.default_value, "value", None) for d in operation.variable_definitions or ()
    }
    return defaults | variables


def _formatted_error(error: GraphQLError) -> Document:
    original = error.original_error
    if original is not None and not isinstance(original, GraphQLError):
        raise original
    content: Document = {"message": error.message}
    if error.locations:
        content["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        content["path"] = list(error.path)
    if error.extensions:
        content["extensions"] = error.extensions
    elif error.path is None:
        content["extensions"] = {"code": "INVALID_VARIABLE"}
    return content
