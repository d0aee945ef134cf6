"""Bulk operations: start or adopt one, poll it, and download its whole result.

https://shopify.dev/docs/api/usage/bulk-operations/queries
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import requests

from xeno_pipeline.shopify.bulk_result import MalformedLineError, is_root, nodes_of
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    BulkDeniedError,
    BulkFailedError,
    BulkRefusedError,
    BulkResultError,
    MalformedResponseError,
    OverloadedError,
    ShopifyError,
)
from xeno_pipeline.shopify.graphql_errors import ACCESS_DENIED
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.retry import pause_after
from xeno_pipeline.shopify.transport import is_loopback

log = logging.getLogger(__name__)

_UNFINISHED = ("CREATED", "RUNNING", "CANCELING")
_NO_SLOT = ("OPERATION_IN_PROGRESS", "LIMIT_REACHED")
_IN_PROGRESS = "for this app and shop is already in progress"
"""The message of the first code, which for years came without a code."""

_FIRST_POLL_SECONDS = 0.3
_SLOWEST_POLL_SECONDS = 15.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0
_STUCK_AFTER_SECONDS = 6 * 3600.0
"""Without any progress. Shopify itself allows a bulk operation ten days."""
_START_ATTEMPTS = 3
_DOWNLOAD_ATTEMPTS = 8
_LONGEST_DOWNLOAD_PAUSE = 10.0
_DOWNLOAD_TIMEOUTS = (10.0, 60.0)
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class BulkOperation:
    """A bulk operation as Shopify reports it. Counts are of lines, sizes in bytes."""

    id: str
    status: str
    error_code: str | None
    created_at: datetime
    query: str
    object_count: int
    root_object_count: int
    file_size: int | None
    url: str | None

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> BulkOperation:
        """Read the selection `BulkOperationFields`."""
        return cls(
            id=node["id"],
            status=node["status"],
            error_code=node["errorCode"],
            created_at=datetime.fromisoformat(node["createdAt"]),
            query=node["query"],
            object_count=int(node["objectCount"]),
            root_object_count=int(node["rootObjectCount"]),
            file_size=None if node["fileSize"] is None else int(node["fileSize"]),
            url=node["url"],
        )

    @property
    def can_be_adopted(self) -> bool:
        """Whether it is running, or has a result that is still available."""
        has_result = self.url is not None or self.object_count == 0
        return self.status in ("CREATED", "RUNNING") or (self.status == "COMPLETED" and has_result)


class BulkReader:
    """Runs bulk operations of one store.

    Args:
        on_progress: called each time the operation is polled.
    """

    def __init__(self, client: ShopifyClient, on_progress: Callable[[BulkOperation], None] = lambda _: None) -> None:
        self._client = client
        self._on_progress = on_progress

    def start(self, query: str) -> BulkOperation:
        """Start a bulk operation, or adopt the running one of the same query that a killed run left behind.

        If all of the shop's slots are taken, wait for one.

        Raises:
            BulkRefusedError: Shopify does not run this query in bulk.
            OverloadedError: no slot became free within a day.
        """
        pause = _FIRST_POLL_SECONDS
        deadline = self._client.clock() + _LONGEST_WAIT_SECONDS
        while self._client.clock() < deadline:
            started = self._running(query) or self._run(query)
            if started is not None:
                return started
            log.info("%s: all slots for bulk operations are taken; waiting %.0f s.", self._client.tenant, pause)
            self._client.sleep(pause)
            pause = min(2 * pause, _SLOWEST_POLL_SECONDS)
        problem = "found no free slot for a bulk operation in a day: run the sync again when the others are done."
        raise OverloadedError(self._client.tenant, "BulkOperationStart", problem)

    def find(self, operation_id: str) -> BulkOperation | None:
        """The operation of that id, or None if Shopify no longer has it."""
        node = self._client.execute(operation("BulkOperationStatus"), {"id": operation_id}).data["bulkOperation"]
        return BulkOperation.from_node(node) if node else None

    def wait(self, started: BulkOperation) -> BulkOperation:
        """Poll until the operation has completed.

        Returns:
            The completed operation; its `url` is None where it found nothing.

        Raises:
            BulkDeniedError: the token may not read what it asks for.
            BulkFailedError: it failed, expired, was cancelled, or got stuck.
        """
        current, pause = started, _FIRST_POLL_SECONDS
        progressed_at = self._client.clock()
        while current.status in _UNFINISHED:
            self._client.sleep(pause)
            pause = min(1.5 * pause, _SLOWEST_POLL_SECONDS)
            found = self.find(started.id)
            if found is None:
                raise self._failed(current, "has vanished at Shopify")
            if (found.status, found.object_count) != (current.status, current.object_count):
                progressed_at = self._client.clock()
            elif self._client.clock() - progressed_at > _STUCK_AFTER_SECONDS:
                self.cancel(found)
                hours = f"{_STUCK_AFTER_SECONDS / 3600:.0f} hours"
                raise self._failed(found, f"made no progress for {hours} and was cancelled")
            current = found
            self._on_progress(current)
        if current.error_code == ACCESS_DENIED:
            problem = "was denied (ACCESS_DENIED): the token lacks an access scope, or the app an approval."
            raise BulkDeniedError(self._client.tenant, f"bulk operation {current.id}", problem)
        if current.status != "COMPLETED":
            why = f" ({current.error_code})" if current.error_code else ""
            raise self._failed(current, f"ended as {current.status}{why}")
        return current

    def cancel(self, running: BulkOperation) -> None:
        """Cancel an operation. One that has ended stays as it is."""
        self._client.execute(operation("BulkOperationCancel"), {"id": running.id})

    def download(self, completed: BulkOperation, into: IO[bytes]) -> None:
        """Download the result of a completed operation into a file; broken connections are resumed.

        Raises:
            BulkResultError: its size is not the one that Shopify announced. Its lines are counted as they are read.
        """
        if completed.url is not None:
            self._fetch(completed, completed.url, into)

    def nodes(
        self, completed: BulkOperation, result: IO[bytes], malformed: Callable[[], int] = lambda: 0
    ) -> Iterator[dict[str, Any]]:
        """The nodes of a downloaded result (see `nodes_of`).

        Args:
            malformed: how many of the nodes turned out to be malformed: whether they are roots is not known.

        Raises:
            BulkResultError: a line is not JSON, or there are not as many lines or roots as Shopify announced.
        """
        result.seek(0)
        lines = roots = 0
        try:
            for node in nodes_of(result):
                lines += 1
                roots += is_root(node)
                yield node
        except MalformedLineError as error:
            raise self.malformed_line(completed, error.line) from None
        self.check_counts(completed, lines, roots, unclear=malformed())

    def check_counts(self, completed: BulkOperation, lines: int, roots: int, *, unclear: int) -> None:
        """Check that as many lines and roots came as Shopify announced.

        Args:
            roots: how many nodes name no parent.
            unclear: of how many nodes that is not known for sure: they turned out to be malformed.

        Raises:
            BulkResultError: there are fewer, or more.
        """
        if lines != completed.object_count:
            problem = f"has {lines:,} lines where Shopify announced {completed.object_count:,}"
            raise self._bad_result(completed, problem)
        if abs(roots - completed.root_object_count) > unclear:
            problem = f"has {roots:,} root objects where Shopify announced {completed.root_object_count:,}"
            raise self._bad_result(completed, problem)

    def malformed_line(self, completed: BulkOperation, line: int) -> BulkResultError:
        """What to raise where a line is not JSON."""
        return self._bad_result(completed, f"is malformed in line {line:,}")

    def _run(self, query: str) -> BulkOperation | None:
        """Start the operation; None if no slot was free."""
        start = operation("BulkOperationStart")
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                data = self._client.execute(start, {"query": query}, repeatable=False).data
                break
            except (OverloadedError, MalformedResponseError):
                # No answer came, but the operation may be running: check before starting it twice.
                running = self._running(query)
                if running is not None:
                    return running
                if attempt == _START_ATTEMPTS:
                    raise
        payload = data["bulkOperationRunQuery"]
        problems = payload["userErrors"]
        if any(problem["code"] in _NO_SLOT or _IN_PROGRESS in problem["message"] for problem in problems):
            return None
        if problems or not payload["bulkOperation"]:
            said = "; ".join(problem["message"] for problem in problems) or "no operation came back"
            raise BulkRefusedError(self._client.tenant, start.name, f"was refused: {said}")
        return BulkOperation.from_node(payload["bulkOperation"])

    def _running(self, query: str) -> BulkOperation | None:
        """The running operation of this query, if there is one."""
        recent = self._client.execute(operation("BulkOperationsRecent"), {"first": 20}).data["bulkOperations"]
        for node in recent["nodes"]:
            found = BulkOperation.from_node(node)
            if found.status in ("CREATED", "RUNNING") and found.query.strip() == query.strip():
                return found
        return None

    def _fetch(self, completed: BulkOperation, url: str, into: IO[bytes]) -> None:
        """Download the file at `url`. Any number of breaks is tolerated as long as each attempt brings more of it."""
        furthest = failures = 0
        while True:
            try:
                return self._fetch_rest(completed, url, into)
            except (requests.RequestException, _IncompleteError) as error:
                have = into.seek(0, 2)
                failures = failures + 1 if have <= furthest else 1
                furthest = max(furthest, have)
                if failures == _DOWNLOAD_ATTEMPTS:
                    problem = f"could not be downloaded whole ({_short(error)})"
                    raise self._bad_result(completed, problem) from None  # it quotes the result's secret URL
                pause = pause_after(failures, _LONGEST_DOWNLOAD_PAUSE)
                log.info("%s: a download broke off at byte %s; resuming.", self._client.tenant, f"{have:,}")
            self._client.sleep(pause)

    def _fetch_rest(self, completed: BulkOperation, url: str, into: IO[bytes]) -> None:
        """Append the rest of the result to the file."""
        have = into.seek(0, 2)
        if have and have == completed.file_size:
            return
        # A separate session: the result is on another host, which must never see the access token.
        with requests.Session() as session:
            session.trust_env = not is_loopback(url)
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            with session.get(url, headers=headers, stream=True, timeout=_DOWNLOAD_TIMEOUTS) as response:
                if response.status_code == requests.codes.requested_range_not_satisfiable:
                    into.truncate(0)
                    raise _IncompleteError(f"nothing was found beyond byte {have:,}")
                if response.status_code in (401, 403, 404, 410):
                    raise self._bad_result(completed, f"is no longer available (HTTP {response.status_code})")
                response.raise_for_status()
                if response.status_code != requests.codes.partial_content:
                    into.seek(0)  # the host does not resume: from the start again
                    into.truncate()
                for chunk in response.iter_content(_CHUNK_BYTES):
                    into.write(chunk)
        have = into.tell()
        if completed.file_size is not None and have != completed.file_size:
            raise _IncompleteError(f"{have:,} of {completed.file_size:,} bytes came")

    def _failed(self, current: BulkOperation, reason: str) -> ShopifyError:
        return BulkFailedError(self._client.tenant, f"bulk operation {current.id}", reason)

    def _bad_result(self, completed: BulkOperation, reason: str) -> BulkResultError:
        return BulkResultError(self._client.tenant, f"the result of bulk operation {completed.id}", reason)


class _IncompleteError(Exception):
    """A download ended cleanly, but before the end of the file."""


def _short(error: Exception) -> str:
    """What broke a download, without the result's URL, which gives access to it."""
    return str(error) if isinstance(error, _IncompleteError) else type(error).__name__
