"""Calls to one shop's GraphQL Admin API: paced, retried, checked."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationParseError

from xeno_pipeline.shopify.backoff import pause_after
from xeno_pipeline.shopify.errors import (
    AccessDeniedError,
    IgnoredFilterError,
    MalformedAnswerError,
    MovedError,
    OverloadedError,
    QueryRejectedError,
    ShopifyError,
    StoreUnavailableError,
    TimedOutError,
    TokenRejectedError,
    TooCostlyError,
    UnreachableError,
    UnsupportedVersionError,
)
from xeno_pipeline.shopify.graphql_errors import (
    ACCESS_DENIED,
    INTERNAL,
    MAX_COST_EXCEEDED,
    THROTTLED,
    TIMEOUT,
    read_errors,
)
from xeno_pipeline.shopify.queries import API_VERSION, Operation
from xeno_pipeline.shopify.records import loads
from xeno_pipeline.shopify.shop_domains import MOST_REDIRECTS, redirected_domain
from xeno_pipeline.shopify.throttle import MAX_QUERY_COST, CostBucket, Reservation

log = logging.getLogger(__name__)

FIRST_COST = 300.0
"""The points that an operation is thought to cost until it was sent once: more than any of ours costs at first."""

REDIRECTS = (301, 302, 307, 308)
"""The statuses by which a store that was renamed sends on."""

_TOKEN = re.compile(r"[!-~]+")
_SECURITY_REJECTION = 430
"""Shopify's own status: too many requests at once, or from a place it does not trust; it passes as 429 does."""

_BAD_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationParseError,
)
_NO_CONNECTION = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
_SLOW = 2
"""What a failure weighs that says that a query takes too long."""

_PERHAPS_SLOW = 1
"""What one weighs that a query which takes too long may meet, as any other may."""

_REPORT_IT = "Upgrade xeno-pipeline; if that does not help, report it."


@dataclass(frozen=True)
class RetryPolicy:
    """How long a call tries before it gives up, in seconds; waiting for points is not counted."""

    deadline: float = 180.0
    connect_deadline: float = 20.0
    """For a host that cannot be connected to at all: most often its name is wrong."""
    longest_pause: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0


@dataclass
class Usage:
    """What the calls of a client have cost so far; one thread counts, others may read."""

    requests: int = 0
    points: float = 0.0
    retries: int = 0
    bytes: int = 0
    seconds_waiting: float = 0.0
    """For the bucket to refill, and between attempts."""


@dataclass(frozen=True)
class Answer:
    """What a call brought: its `data`, and the points that it was charged before it ran."""

    data: Mapping[str, Any]
    requested_cost: float | None


def _together(usages: Sequence[Usage]) -> Usage:
    """What several clients have cost."""
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in vars(Usage())})


class TokenSource(Protocol):
    """Where the access token comes from, if it may change while a client works; several threads ask it."""

    def current(self) -> str:
        """The token to send now."""

    def replace_rejected(self, refused: str) -> str | None:
        """Another token than the one that the store refused; None where there is no other."""


class PlainSession(requests.Session):
    """A session that does not so much as read where it is redirected to: who asks does, and decides."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


class Mover(Protocol):
    """Who decides whether to follow a store that was renamed; several threads ask it, one at a time."""

    def follow(self, domain: str) -> str:
        """The root of the API to go on with, after the store's address led to another domain of myshopify.com.

        Raises:
            XenoError: what answers there is not the same shop, or nothing does.
        """


@dataclass
class _Address:
    """The root of a store's API. The threads that read the store share it."""

    root: str
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def follow(self, left: str, domain: str, mover: Mover) -> None:
        """Go on at another domain, unless another thread has done so since the root was `left`."""
        with self._lock:
            if self.root == left:
                self.root = mover.follow(domain).rstrip("/")


@dataclass(frozen=True)
class _FixedToken:
    """A token that stays."""

    token: str = field(repr=False)

    def current(self) -> str:
        return self.token

    def replace_rejected(self, refused: str) -> None:
        return None


class _TransientError(Exception):
    """A failure worth trying again, and what to raise when there is no more time to.

    Args:
        problem: what happened; a sentence without its subject.
        kind: the error to give up with.
        retry_after: how many seconds Shopify asked to wait.
        sent: whether the call may have taken effect although no answer came.
        slowness: how much it says that the query takes too long; `_SLOW` is enough.
    """

    def __init__(
        self,
        problem: str,
        kind: type[ShopifyError] = OverloadedError,
        *,
        retry_after: float | None = None,
        sent: bool = True,
        slowness: int = 0,
    ) -> None:
        super().__init__(problem)
        self.kind = kind
        self.retry_after = retry_after
        self.sent = sent
        self.slowness = slowness


def _timed_out(problem: str) -> _TransientError:
    return _TransientError(problem, TimedOutError, slowness=_SLOW)


class ShopifyClient:
    """One store's Admin API. Threads that read the store side by side each take a `clone`.

    Args:
        tenant: the store's handle, for messages.
        api_url: the root that `/admin/api/<version>/graphql.json` is appended to.
        token: the access token, or where it comes from; it goes nowhere but into the request's header.
        retry_policy: how long to keep trying.
        mover: decides whether to follow the store where it was renamed; without one it is not followed.
        on_close: told at the end what the calls of the client and of its twins have cost together.
        clock: seconds that only go forward.
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
        if isinstance(token, str) and not _TOKEN.fullmatch(token):  # told here: the libraries below would quote it
            problem = "was not tried: it is empty, or has characters that no token has. " + _new_token(tenant)
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
        self._tokens: TokenSource = _FixedToken(token) if isinstance(token, str) else token
        self._session = PlainSession()
        self._session.trust_env = not is_loopback(api_url)  # no proxy stands between us and ourselves
        self._costs: dict[str, float] = {}

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        expected_cost: float | None = None,
        repeatable: bool = True,
        can_shrink: bool = False,
    ) -> Answer:
        """Send one operation and return its answer; what may pass by itself is tried again.

        Args:
            operation: what to send.
            variables: its variables.
            expected_cost: the points it will be charged, where that is more than it was charged last.
            repeatable: False for a mutation that must not take effect twice: it is tried again only when it
                surely did not.
            can_shrink: True where the caller can ask for less instead: a query that takes Shopify too long is then
                not sent over and over.

        Raises:
            TimedOutError: it takes Shopify too long, at once where less can be asked for, else at the deadline.
            TokenRejectedError, AccessDeniedError, StoreUnavailableError, UnsupportedVersionError,
            QueryRejectedError, TooCostlyError, IgnoredFilterError: repeating cannot help.
            MovedError: the store is at another domain by now, and there is no `mover` to follow it.
            UnreachableError, OverloadedError, MalformedAnswerError: it was tried until the deadline.
        """
        failures, trying, slowness, moves = 0, 0.0, 0, 0
        while True:
            root = self._address.root
            cost = max(expected_cost or 0.0, self._costs.get(operation.name, FIRST_COST))
            with self.bucket.reserve(cost) as reservation:
                self.usage.seconds_waiting += reservation.waited
                sent_at = self.clock()
                failure: _TransientError | MovedError
                try:
                    return self._send(root, operation, variables or {}, reservation)
                except (_TransientError, MovedError) as error:
                    failure = error
                trying += self.clock() - sent_at
            if isinstance(failure, MovedError):
                moves += 1
                if self._mover is None or moves > MOST_REDIRECTS:
                    raise failure
                self._address.follow(root, failure.domain, self._mover)
                continue
            failures += 1
            slowness += failure.slowness
            if can_shrink and slowness >= _SLOW:
                raise TimedOutError(self.tenant, operation.name, f"{failure} Less at once may do.") from failure
            pause = max(failure.retry_after or 0.0, pause_after(failures, self.retry_policy.longest_pause))
            trying += pause
            if self._gives_up(failure, trying, repeatable):
                problem = f"{failure} No attempt came through: try again later."
                raise failure.kind(self.tenant, operation.name, problem) from failure
            log.warning("%s: %s %s Trying again in %.1f s.", self.tenant, operation.name, failure, pause)
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
        """Let go of the connections, those of the twins too, and tell what all of them have cost."""
        self._session.close()
        spent = [self._usages.pop() for _ in range(len(self._usages))]
        if any(usage.requests for usage in spent):
            self._on_close(_together(spent))

    def _gives_up(self, failure: _TransientError, seconds: float, repeatable: bool) -> bool:
        """Whether not to try again, given how long it would have been tried by then."""
        if failure.sent and not repeatable:
            return True
        unreachable = failure.kind is UnreachableError
        return seconds > (self.retry_policy.connect_deadline if unreachable else self.retry_policy.deadline)

    def _send(self, root: str, operation: Operation, variables: Mapping[str, Any], reservation: Reservation) -> Answer:
        token = self._tokens.current()
        try:
            response = self._post(root, operation, variables, token)
            if response.status_code == requests.codes.unauthorized:
                other = self._tokens.replace_rejected(token)
                if other is not None:
                    response = self._post(root, operation, variables, other)
        except _BAD_URL as error:
            problem = "could not be sent: the API URL is none; it is written as https://acme.myshopify.com is."
            raise UnreachableError(self.tenant, operation.name, problem) from error
        except requests.ReadTimeout as error:
            raise _timed_out("got no answer in time.") from error
        except requests.ConnectionError as error:
            failure = _connection_failure(root, error)
            reservation.spent = failure.sent
            raise failure from error
        except requests.RequestException as error:
            raise _TransientError("broke off while its answer came in.", slowness=_PERHAPS_SLOW) from error
        self.usage.bytes += len(response.content)
        reservation.spent = response.status_code == requests.codes.ok
        self._check_status(root, operation, response)
        self._check_version(operation, response)
        return self._read(operation, response, reservation)

    def _post(self, root: str, operation: Operation, variables: Mapping[str, Any], token: str) -> requests.Response:
        self.usage.requests += 1
        return self._session.post(
            f"{root}/admin/api/{API_VERSION}/graphql.json",
            json={"query": operation.text, "variables": variables, "operationName": operation.name},
            headers={"X-Shopify-Access-Token": token},
            timeout=(self.retry_policy.connect_timeout, self.retry_policy.read_timeout),
            allow_redirects=False,  # the token must not follow to a host that was not looked at
        )

    def _check_status(self, root: str, operation: Operation, response: requests.Response) -> None:
        status = response.status_code
        if status == requests.codes.ok:
            return
        retry_after = _seconds(response.headers.get("Retry-After"))
        if status in (requests.codes.too_many_requests, _SECURITY_REJECTION):
            raise _TransientError(f"met HTTP {status}.", retry_after=retry_after, sent=False)
        if status in (requests.codes.request_timeout, requests.codes.gateway_timeout):
            raise _timed_out(f"met HTTP {status}.")
        if status >= requests.codes.server_error:
            raise _TransientError(f"met HTTP {status}.", retry_after=retry_after, slowness=_PERHAPS_SLOW)
        if status == requests.codes.unauthorized:
            raise TokenRejectedError(
                self.tenant,
                operation.name,
                "was refused: Shopify does not accept the access token (wrong, expired or revoked). "
                + _new_token(self.tenant),
            )
        host = urlsplit(root).netloc
        domain = redirected_domain(response.headers.get("Location")) if status in REDIRECTS else None
        if domain is not None:
            raise MovedError(self.tenant, operation.name, f"was redirected away from {host} (HTTP {status})", domain)
        raise StoreUnavailableError(self.tenant, operation.name, _unavailable(status, host))

    def _check_version(self, operation: Operation, response: requests.Response) -> None:
        served = response.headers.get("X-Shopify-API-Version", API_VERSION)
        if served != API_VERSION:
            raise UnsupportedVersionError(
                self.tenant,
                operation.name,
                f"was answered by version {served} of the Admin API instead of {API_VERSION}, which the store "
                "does not support (any more): upgrade xeno-pipeline.",
            )

    def _read(self, operation: Operation, response: requests.Response, reservation: Reservation) -> Answer:
        try:
            body = loads(response.content)
            requested = self._settle(operation, body, reservation)
            self._check_errors(operation, body.get("errors"))
            self._check_search(operation, body.get("extensions") or {})
            data = body["data"]
            data.keys()
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            problem = "was answered with something that is no GraphQL answer."
            raise _TransientError(problem, MalformedAnswerError, slowness=_PERHAPS_SLOW) from error
        return Answer(data, requested)

    def _settle(self, operation: Operation, body: Mapping[str, Any], reservation: Reservation) -> float | None:
        """Note what the answer says of costs; returns what the call was charged before it ran."""
        cost = (body.get("extensions") or {}).get("cost") or {}
        if cost.get("throttleStatus"):
            self.bucket.learn(cost["throttleStatus"], reservation)
        self.usage.points += float(cost.get("actualQueryCost") or 0.0)
        if cost.get("requestedQueryCost") is None:
            return None
        requested = float(cost["requestedQueryCost"])
        self._costs[operation.name] = min(requested, MAX_QUERY_COST)
        return requested

    def _check_errors(self, operation: Operation, errors: Any) -> None:
        """Raise what the GraphQL errors say, if there are any; the worst decides."""
        found = read_errors(errors)
        if not found:
            return
        codes = {error.code for error in found}
        message = " ".join("; ".join(error.message for error in found).split())[:500]
        if THROTTLED in codes:
            raise _TransientError("was throttled.", sent=False)
        if codes <= {INTERNAL, TIMEOUT}:
            if TIMEOUT in codes:
                raise _timed_out(f"took Shopify too long ({message}).")
            raise _TransientError(f"met an internal error ({message}).", slowness=_PERHAPS_SLOW)
        if ACCESS_DENIED in codes:
            raise AccessDeniedError(
                self.tenant,
                operation.name,
                f"was denied: {message} Grant the app that scope and approve it in the store.",
            )
        if MAX_COST_EXCEEDED in codes:
            raise TooCostlyError(self.tenant, operation.name, f"costs too much for one query: {message} {_REPORT_IT}")
        raise QueryRejectedError(self.tenant, operation.name, f"was rejected: {message} {_REPORT_IT}")

    def _check_search(self, operation: Operation, extensions: Mapping[str, Any]) -> None:
        """Refuse an answer whose filter was ignored: it holds everything instead of what was asked for."""
        warnings = [warning for search in extensions.get("search") or [] for warning in search.get("warnings") or []]
        if warnings:
            said = "; ".join(f"{w.get('field')}: {w.get('message')}" for w in warnings)
            raise IgnoredFilterError(
                self.tenant, operation.name, f"had its filter ignored ({said}): upgrade xeno-pipeline."
            )


def _connection_failure(root: str, error: requests.ConnectionError) -> _TransientError:
    host = urlsplit(root).netloc
    never_connected = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    if never_connected or isinstance(error, _NO_CONNECTION):
        problem = f"could not connect to {host}: check the API URL and that the host can be reached."
        return _TransientError(problem, UnreachableError, sent=False)
    return _TransientError(f"lost its connection to {host}.", slowness=_PERHAPS_SLOW)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _new_token(tenant: str) -> str:
    return f"Give a new one with `xeno tenant set-token {tenant}`."


def _unavailable(status: int, host: str) -> str:
    """What a status that closes the door says, and what to do."""
    if status == requests.codes.not_found:
        return f"found no store (or no API version {API_VERSION}) at {host}: check the handle and the API URL."
    if status == requests.codes.payment_required:
        return "was refused: the store is frozen until its owner pays Shopify (HTTP 402)."
    if status == requests.codes.forbidden:
        return "was refused: the store forbids the app (HTTP 403); reinstall it there."
    if status == requests.codes.locked:
        return "was refused: Shopify has locked the store (HTTP 423); its owner must ask Shopify's support."
    if status in range(300, 400):
        return f"was redirected away from {host} (HTTP {status}): use the store's myshopify.com address."
    return f"was refused with HTTP {status}: check the API URL. {_REPORT_IT}"


def _seconds(retry_after: str | None) -> float | None:
    """A `Retry-After` header in seconds; its other form, a date, is left to the back-off."""
    try:
        seconds = float(retry_after) if retry_after else math.nan
    except ValueError:
        return None
    return None if math.isnan(seconds) else seconds
