"""The bulk operations of one store: started, watched, cancelled, remembered."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema

from shopify_sandbox.bulk.pool import Job, Workers
from shopify_sandbox.bulk.query import BulkQueryError, compile_bulk_query
from shopify_sandbox.controls.faults import Faults
from shopify_sandbox.errors import ApiError
from shopify_sandbox.model.documents import gid
from shopify_sandbox.model.money import Document
from shopify_sandbox.model.times import DAY, iso, iso_or_none
from shopify_sandbox.state.store import Store

MAX_RUNNING = 5
RESULT_DAYS = 7
"""How long a result can be downloaded (schema, `BulkOperation.url`)."""

RESULTS_PATH = "/bulk-results"
_ONGOING = ("CREATED", "RUNNING", "CANCELING")
_FIRST_ID = 8_100_000_000_000


@dataclass
class Operation:
    """A bulk operation as it is remembered."""

    id: int
    query: str
    grouped: bool
    created_at: int
    token: str
    """Names the result; whoever knows it may download."""
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: int | None = None
    objects: int = 0
    roots: int = 0
    size: int | None = None
    fault: dict[str, Any] | None = None
    """The fault a test ordered for this operation."""

    def take_download_fault(self) -> dict[str, Any] | None:
        """What should go wrong with the next download; `bulk_reset` may do so several times, the others always."""
        if self.fault and self.fault["kind"] == "bulk_reset":
            times = int(self.fault.get("times", 1))
            if times <= 0:
                return None
            self.fault["times"] = times - 1
        return self.fault


class BulkOperations:
    """All bulk operations of a store. Every method is called with the store's lock held, or takes it."""

    def __init__(self, store: Store, workers: Workers, faults: Faults, base_url: str) -> None:
        self._store = store
        self._workers = workers
        self._results = store.folder / "bulk-results"
        self._results.mkdir(exist_ok=True)
        self._faults = faults
        self._base_url = base_url
        self._operations = {o["id"]: Operation(**o) for o in store.overlay.bulk_operations()}
        self._jobs: dict[int, Job] = {}
        for operation in self._operations.values():
            if operation.status in ("CREATED", "RUNNING"):
                self._start(operation)
            elif operation.status == "CANCELING":
                operation.status = "CANCELED"
        self._clear_away()

    def _clear_away(self) -> None:
        """Delete the results whose download has expired; large stores have large ones."""
        operations = self._operations.values()
        wanted = {
            self.result_path(o)
            for o in operations
            if o.status in _ONGOING or (o.completed_at and not self._has_expired(o))
        }
        for path in set(self._results.iterdir()) - wanted:
            path.unlink()

    def document(self, number: int) -> Document | None:
        """An operation as the Admin API shows it."""
        operation = self._operations.get(number)
        return None if operation is None else self._document(operation)

    def documents(self) -> list[Document]:
        """All operations, oldest first."""
        return [self._document(operation) for operation in self._operations.values()]

    def operation_of(self, token: str) -> Operation | None:
        """The operation whose result goes by a token, while it can be downloaded."""
        found = next((o for o in self._operations.values() if o.token == token), None)
        if found is None or found.completed_at is None or self._has_expired(found):
            return None
        return found if self.result_path(found).exists() else None

    def result_path(self, operation: Operation) -> Path:
        """Where an operation's result is."""
        return self._results / f"{operation.token}.jsonl"

    def run(self, schema: GraphQLSchema, query: str, *, grouped: bool) -> Document:
        """`bulkOperationRunQuery`: what the mutation answers."""
        connections: set[str] = set()
        try:
            connections = {root.listing.connection for root in compile_bulk_query(self._store, schema, query)}
        except BulkQueryError as refused:
            return _refused(*((["query"], message, "INVALID") for message in refused.messages))
        except ApiError:
            pass  # a missing scope fails the operation when it runs
        if "agreements" in query and self._faults.take_refusal():
            message = (
                "Invalid bulk query: The field `agreements` must return a type that implements the 'Node' interface."
            )
            return _refused((["query"], message, "INVALID"))
        ongoing = [gid("BulkOperation", o.id) for o in self._operations.values() if o.status in _ONGOING]
        ongoing += [gid("BulkOperation", n + 1) for n in range(self._faults.occupied_slots)]
        if len(ongoing) >= MAX_RUNNING:
            message = "A bulk query operation for this app and shop is already in progress: "
            return _refused((None, f"{message}{', '.join(ongoing)}.", "OPERATION_IN_PROGRESS"))
        operation = Operation(
            id=max(self._operations, default=_FIRST_ID) + 32_768,
            query=query,
            grouped=grouped,
            created_at=self._store.now(),
            token=secrets.token_urlsafe(24),
            fault=self._faults.take_for_bulk(connections),
        )
        self._operations[operation.id] = operation
        self._remember(operation)
        created = self._document(operation)
        self._start(operation)
        return {"bulkOperation": created, "userErrors": []}

    def cancel(self, number: int) -> Document:
        """`bulkOperationCancel`: what the mutation answers."""
        operation = self._operations.get(number)
        if operation is None:
            return {
                "bulkOperation": None,
                "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}],
            }
        if operation.status not in _ONGOING:
            state = operation.status.lower()
            message = f"A bulk operation cannot be canceled when it is {state}"
            return {"bulkOperation": self._document(operation), "userErrors": [{"field": None, "message": message}]}
        was_running = operation.status != "CREATED" and operation.id in self._jobs
        operation.status = "CANCELING"
        canceling = self._document(operation)
        if operation.id in self._jobs:
            self._jobs[operation.id].cancelled.set()
        if not was_running:
            operation.status = "CANCELED"
        self._remember(operation)
        return {"bulkOperation": canceling, "userErrors": []}

    def _start(self, operation: Operation) -> None:
        if operation.fault and operation.fault["kind"] == "bulk_stuck":
            operation.status = "RUNNING"
            return
        job = Job(
            self._store.spec,
            self._store.folder,
            operation.query,
            operation.grouped,
            self.result_path(operation),
        )
        self._jobs[operation.id] = job
        self._workers.submit(job, lambda job, state: self._changed(operation, job, state))

    def _changed(self, operation: Operation, job: Job, state: str) -> None:
        """Take over what a worker says; called from its thread."""
        with self._store.lock:
            operation.objects, operation.roots = job.objects, job.roots
            if state == "running":
                if operation.status == "CREATED":
                    operation.status = "RUNNING"
                return
            del self._jobs[operation.id]
            if state == "cancelled":
                operation.status = "CANCELED"
            elif state == "failed":
                operation.status, operation.error_code = "FAILED", job.error
            else:
                self._complete(operation, job)
            operation.completed_at = None if state == "cancelled" else self._store.now()
            self._remember(operation)

    def _complete(self, operation: Operation, job: Job) -> None:
        operation.status, operation.size = "COMPLETED", job.size
        fault = operation.fault or {"kind": None}
        if fault["kind"] == "bulk_fail":
            operation.status, operation.error_code = "FAILED", fault.get("code", "INTERNAL_SERVER_ERROR")
        elif fault["kind"] == "bulk_expire":
            operation.status = "EXPIRED"

    def _remember(self, operation: Operation) -> None:
        self._store.overlay.put_bulk_operation(operation.id, asdict(operation))

    def _has_expired(self, operation: Operation) -> bool:
        done = operation.completed_at
        return operation.status == "EXPIRED" or (done is not None and done + RESULT_DAYS * DAY < self._store.now())

    def _document(self, operation: Operation) -> Document:
        expired = self._has_expired(operation)
        has_result = operation.completed_at is not None and operation.objects > 0 and not expired
        url = f"{self._base_url}{RESULTS_PATH}/{operation.token}.jsonl" if has_result else None
        return {
            "__typename": "BulkOperation",
            "id": gid("BulkOperation", operation.id),
            "status": operation.status,
            "type": "QUERY",
            "errorCode": operation.error_code,
            "createdAt": iso(operation.created_at),
            "completedAt": iso_or_none(operation.completed_at),
            "objectCount": str(operation.objects),
            "rootObjectCount": str(operation.roots),
            "fileSize": str(operation.size) if operation.size else None,
            "url": url if operation.status == "COMPLETED" else None,
            "partialDataUrl": url if operation.status == "FAILED" else None,
            "query": operation.query,
        }


def _refused(*problems: tuple[list[str] | None, str, str]) -> Document:
    errors = [{"field": path, "message": message, "code": code} for path, message, code in problems]
    return {"bulkOperation": None, "userErrors": errors}
