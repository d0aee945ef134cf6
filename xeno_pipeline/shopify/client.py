"""Calls to one shop's GraphQL Admin API: paced, retried, checked."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests

from xeno_pipeline.shopify import responses
from xeno_pipeline.shopify.errors import MovedError, TimedOutError, TokenRejectedError, UnreachableError
from xeno_pipeline.shopify.queries import API_VERSION, Operation
from xeno_pipeline.shopify.records import loads
from xeno_pipeline.shopify.responses import Retry, host_of, new_token_hint
from xeno_pipeline.shopify.retry import RetryPolicy, pause_after
from xeno_pipeline.shopify.shop_domains import MOST_REDIRECTS
from xeno_pipeline.shopify.throttle import MAX_QUERY_COST, CostBucket, Reservation
from xeno_pipeline.shopify.tokens import FixedToken, TokenSource
from xeno_pipeline.shopify.transport import open_session
from xeno_pipeline.shopify.usage import Usage, total

log = logging.getLogger(__name__)

FIRST_COST = 300.0
"""The assumed points of an operation that was never sent: more than any of ours costs at first."""

_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Response:
    """A call's result: its `data`, and the points that it was charged before it ran (None: not stated)."""

    data: Mapping[str, Any]
    requested_cost: float | None


class Mover(Protocol):
    """Decides whether to follow a store that was renamed. Several threads may call it, one at a time."""

    def follow(self, domain: str) -> str:
        """The root of the API to continue with, after the store redirected to another domain of myshopify.com.

        Raises:
            XenoError: that domain belongs to another shop, or does not answer.
        """


@dataclass
class _Address:
    """The root of a store's API, shared by all threads that read the store."""

    root: str
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def follow(self, left: str, domain: str, mover: Mover) -> None:
        """Move to another domain, unless another thread has moved since the root was `left`."""
        with self._lock:
            if self.root == left:
                self.root = mover.follow(domain).rstrip("/")


class ShopifyClient:
    """One store's Admin API. Each thread that reads the store takes a `clone` of its own.

    Args:
        tenant: the store's handle, for messages.
        api_url: the root that `/admin/api/<version>/graphql.json` is appended to.
        token: the access token, or its source. It is sent in the request's header and nowhere else.
        mover: decides whether to follow the store when it was renamed; None: it is not followed.
        on_close: called at the end with the cost of all calls of the client and its clones.
        clock: seconds that only increase.
        sleep: waits for a number of seconds.

    Raises:
        TokenRejectedError: the token is empty, or has characters that no header can hold.
    """

    def __init__(
        self,
        *,
        tenant: str,
        api_url: str,
        token: str | TokenSource,
        retry_policy: RetryPolicy | None = None,
        mover: Mover | None = None,
        on_close: Callable[[Usage], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if isinstance(token, str) and not _TOKEN.fullmatch(token):  # requests' own error would quote it
            problem = "was not tried: it is empty, or has characters that no token has. " + new_token_hint(tenant)
            raise TokenRejectedError(tenant, "the access token", problem)
        self.tenant = tenant
        self.retry_policy = retry_policy or RetryPolicy()
        self.usage = Usage()
        self._usages = [self.usage]
        self._on_close = on_close
        self.bucket = CostBucket(clock, sleep)
        self.clock = clock
        self.sleep = sleep
        self._address = _Address(api_url.rstrip("/"))
        self._mover = mover
        self._tokens: TokenSource = FixedToken(token) if isinstance(token, str) else token
        self._session = open_session(api_url)
        self._costs: dict[str, float] = {}

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        expected_cost: float | None = None,
        repeatable: bool = True,
        can_shrink: bool = False,
    ) -> Response:
        """Send one operation; a failure that may pass is retried until the retry policy's deadline.

        Args:
            expected_cost: the points that it will be charged, where that is more than last time.
            repeatable: False for a mutation that must not take effect twice: it is retried only if it surely did not
                run.
            can_shrink: True where the caller can request less instead: a query that is too slow for Shopify then
                fails at once.

        Raises:
            TransientError: the deadline has passed.
            TimedOutError: the query is too slow; raised at once with `can_shrink`.
            MovedError: the store has another domain, and there is no `mover` to follow it.
            ShopifyError: a retry cannot help.
        """
        failures, elapsed, slowness, moves = 0, 0.0, 0, 0
        while True:
            root = self._address.root
            cost = max(expected_cost or 0.0, self._costs.get(operation.name, FIRST_COST))
            with self.bucket.reserve(cost) as reservation:
                self.usage.seconds_waiting += reservation.waited
                sent_at = self.clock()
                outcome: Response | Retry | MovedError
                try:
                    outcome = self._attempt(root, operation, variables or {}, reservation)
                except MovedError as moved:
                    outcome = moved
                elapsed += self.clock() - sent_at
            if isinstance(outcome, Response):
                return outcome
            if isinstance(outcome, MovedError):
                moves += 1
                if self._mover is None or moves > MOST_REDIRECTS:
                    raise outcome
                self._address.follow(root, outcome.domain, self._mover)
                continue
            failures += 1
            slowness += outcome.slowness
            if can_shrink and slowness >= responses.TOO_SLOW:
                raise TimedOutError(
                    self.tenant, operation.name, f"{outcome.problem} Less at once may do."
                ) from outcome.cause
            pause = max(outcome.retry_after or 0.0, pause_after(failures, self.retry_policy.longest_pause))
            elapsed += pause
            if not self._may_retry(outcome, elapsed, repeatable):
                problem = f"{outcome.problem} No attempt came through: try again later."
                raise outcome.error(self.tenant, operation.name, problem) from outcome.cause
            log.warning("%s: %s %s Retrying in %.1f s.", self.tenant, operation.name, outcome.problem, pause)
            self.usage.retries += 1
            self.usage.seconds_waiting += pause
            self.sleep(pause)

    def clone(self) -> ShopifyClient:
        """A client of the same store on the same session and bucket, with a usage of its own."""
        other = copy(self)
        other.usage = Usage()
        self._usages.append(other.usage)
        return other

    def close(self) -> None:
        """Close the connections, those of the clones too, and report the cost of all calls."""
        self._session.close()
        usages = [self._usages.pop() for _ in range(len(self._usages))]
        if any(usage.requests for usage in usages):
            self._on_close(total(usages))

    def _may_retry(self, retry: Retry, elapsed: float, repeatable: bool) -> bool:
        if retry.may_have_run and not repeatable:
            return False
        unreachable = retry.error is UnreachableError
        return elapsed <= (self.retry_policy.connect_deadline if unreachable else self.retry_policy.deadline)

    def _attempt(
        self, root: str, operation: Operation, variables: Mapping[str, Any], reservation: Reservation
    ) -> Response | Retry:
        received = self._exchange(root, operation, variables)
        if isinstance(received, Retry):
            reservation.is_charged = received.may_have_run
            return received
        reservation.is_charged = received.status_code == requests.codes.ok
        self.usage.bytes += len(received.content)
        retry = responses.check_status(self.tenant, operation.name, host_of(root), received)
        if retry is not None:
            return retry
        responses.check_version(self.tenant, operation.name, API_VERSION, received)
        try:
            return self._read(operation, loads(received.content), reservation)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return responses.malformed(error)

    def _exchange(self, root: str, operation: Operation, variables: Mapping[str, Any]) -> requests.Response | Retry:
        """Send the operation once, or twice where the store rejects a token and there is another."""
        token = self._tokens.current()
        try:
            received = self._post(root, operation, variables, token)
            if received.status_code == requests.codes.unauthorized:
                other = self._tokens.replace_rejected(token)
                if other is not None:
                    received = self._post(root, operation, variables, other)
        except responses.BAD_URL_ERRORS as error:
            problem = "could not be sent: the API URL is invalid; write it like https://acme.myshopify.com."
            raise UnreachableError(self.tenant, operation.name, problem) from error
        except requests.RequestException as error:
            return responses.from_exception(host_of(root), error)
        return received

    def _post(self, root: str, operation: Operation, variables: Mapping[str, Any], token: str) -> requests.Response:
        self.usage.requests += 1
        return self._session.post(
            f"{root}/admin/api/{API_VERSION}/graphql.json",
            json={"query": operation.text, "variables": variables, "operationName": operation.name},
            headers={"X-Shopify-Access-Token": token},
            timeout=(self.retry_policy.connect_timeout, self.retry_policy.read_timeout),
            allow_redirects=False,  # the token must not follow to a host that was not checked
        )

    def _read(self, operation: Operation, body: Any, reservation: Reservation) -> Response | Retry:
        requested_cost = self._record_cost(operation, body, reservation)
        retry = responses.check_errors(self.tenant, operation.name, body.get("errors"))
        if retry is not None:
            return retry
        responses.check_search(self.tenant, operation.name, body.get("extensions") or {})
        data = body["data"]
        data.keys()  # raises where it is no object
        return Response(data, requested_cost)

    def _record_cost(self, operation: Operation, body: Mapping[str, Any], reservation: Reservation) -> float | None:
        """Record what the response says of costs. Returns the points that the call was charged before it ran."""
        cost = (body.get("extensions") or {}).get("cost") or {}
        if cost.get("throttleStatus"):
            self.bucket.learn(cost["throttleStatus"], reservation)
        self.usage.points += float(cost.get("actualQueryCost") or 0.0)
        if cost.get("requestedQueryCost") is None:
            return None
        requested = float(cost["requestedQueryCost"])
        self._costs[operation.name] = min(requested, MAX_QUERY_COST)
        return requested
