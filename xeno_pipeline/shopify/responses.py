"""What a response of the Admin API says went wrong: an error to raise, or a reason to retry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationParseError

from xeno_pipeline.shopify.errors import (
    AccessDeniedError,
    IgnoredFilterError,
    MalformedResponseError,
    MovedError,
    OverloadedError,
    QueryRejectedError,
    ShopifyError,
    StoreUnavailableError,
    TimedOutError,
    TokenRejectedError,
    TooCostlyError,
    TransientError,
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
from xeno_pipeline.shopify.shop_domains import redirected_domain
from xeno_pipeline.shopify.transport import REDIRECT_STATUSES

TOO_SLOW = 2
"""The slowness at which a query is taken to be too slow for Shopify."""

BAD_URL_ERRORS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationParseError,
)

_PERHAPS_SLOW = 1
"""The slowness of a failure that a slow query may cause, among other reasons."""

_NO_CONNECTION = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
_SECURITY_REJECTION = 430
"""Shopify's own status: too many requests at once, or a suspicious source. It passes like 429."""

_REPORT_IT = "Upgrade xeno-pipeline; if that does not help, report it."


@dataclass(frozen=True)
class Retry:
    """An attempt that failed for a reason that may pass.

    Args:
        problem: what happened; a sentence without its subject.
        error: what to raise when the deadline has passed.
        retry_after: how many seconds Shopify asked to wait.
        may_have_run: whether the call may have taken effect although no answer came.
        slowness: how strongly the failure suggests that the query takes too long; `TOO_SLOW` is enough.
        cause: the exception behind it, if any.
    """

    problem: str
    error: type[TransientError] = OverloadedError
    retry_after: float | None = None
    may_have_run: bool = True
    slowness: int = 0
    cause: Exception | None = None


def new_token_hint(tenant: str) -> str:
    """The remedy for a token that does not work."""
    return f"Give a new one with `xeno tenant set-token {tenant}`."


def from_exception(host: str, error: requests.RequestException) -> Retry:
    """What to do about an exception of `requests`."""
    if isinstance(error, requests.ReadTimeout):
        return _timed_out("got no answer in time.", error)
    if not isinstance(error, requests.ConnectionError):
        return Retry("broke off while its answer came in.", slowness=_PERHAPS_SLOW, cause=error)
    never_connected = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    if never_connected or isinstance(error, _NO_CONNECTION):
        problem = f"could not connect to {host}: check the API URL and that the host can be reached."
        return Retry(problem, UnreachableError, may_have_run=False, cause=error)
    return Retry(f"lost its connection to {host}.", slowness=_PERHAPS_SLOW, cause=error)


def malformed(cause: Exception) -> Retry:
    """What to do about a body that is no GraphQL response."""
    problem = "was answered with something that is no GraphQL answer."
    return Retry(problem, MalformedResponseError, slowness=_PERHAPS_SLOW, cause=cause)


def check_status(tenant: str, operation: str, host: str, response: requests.Response) -> Retry | None:
    """Check the HTTP status.

    Returns:
        What to do about it; None where the status is good.

    Raises:
        ShopifyError: a retry cannot help.
    """
    status = response.status_code
    if status == requests.codes.ok:
        return None
    retry_after = _seconds(response.headers.get("Retry-After"))
    if status in (requests.codes.too_many_requests, _SECURITY_REJECTION):
        return Retry(f"met HTTP {status}.", retry_after=retry_after, may_have_run=False)
    if status in (requests.codes.request_timeout, requests.codes.gateway_timeout):
        return _timed_out(f"met HTTP {status}.")
    if status >= requests.codes.server_error:
        return Retry(f"met HTTP {status}.", retry_after=retry_after, slowness=_PERHAPS_SLOW)
    if status == requests.codes.unauthorized:
        problem = "was refused: Shopify does not accept the access token (wrong, expired or revoked). "
        raise TokenRejectedError(tenant, operation, problem + new_token_hint(tenant))
    domain = redirected_domain(response.headers.get("Location")) if status in REDIRECT_STATUSES else None
    if domain is not None:
        raise MovedError(tenant, operation, f"was redirected away from {host} (HTTP {status})", domain)
    raise StoreUnavailableError(tenant, operation, _unavailable(status, host))


def check_version(tenant: str, operation: str, requested: str, response: requests.Response) -> None:
    """Check that the requested version of the API answered.

    Raises:
        UnsupportedVersionError: another one did.
    """
    served = response.headers.get("X-Shopify-API-Version", requested)
    if served != requested:
        raise UnsupportedVersionError(
            tenant,
            operation,
            f"was answered by version {served} of the Admin API instead of {requested}, which the store "
            "does not support (any more): upgrade xeno-pipeline.",
        )


def check_errors(tenant: str, operation: str, errors: Any) -> Retry | None:
    """Check the response's GraphQL errors; the most severe one decides.

    Returns:
        What to do about them; None where there are none.

    Raises:
        ShopifyError: a retry cannot help.
        TypeError: they have no known shape.
    """
    found = read_errors(errors)
    if not found:
        return None
    codes = {error.code for error in found}
    message = " ".join("; ".join(error.message for error in found).split())[:500]
    if THROTTLED in codes:
        return Retry("was throttled.", may_have_run=False)
    if codes <= {INTERNAL, TIMEOUT}:
        if TIMEOUT in codes:
            return _timed_out(f"took Shopify too long ({message}).")
        return Retry(f"met an internal error ({message}).", slowness=_PERHAPS_SLOW)
    raise _permanent(tenant, operation, codes, message)


def check_search(tenant: str, operation: str, extensions: Mapping[str, Any]) -> None:
    """Check that Shopify applied the search filter.

    Raises:
        IgnoredFilterError: it did not, so that the response holds everything instead of what was requested.
    """
    warnings = [warning for search in extensions.get("search") or [] for warning in search.get("warnings") or []]
    if warnings:
        listed = "; ".join(f"{w.get('field')}: {w.get('message')}" for w in warnings)
        raise IgnoredFilterError(tenant, operation, f"had its filter ignored ({listed}): upgrade xeno-pipeline.")


def _permanent(tenant: str, operation: str, codes: set[str | None], message: str) -> ShopifyError:
    if ACCESS_DENIED in codes:
        problem = f"was denied: {message} Grant the app that scope and approve it in the store."
        return AccessDeniedError(tenant, operation, problem)
    if MAX_COST_EXCEEDED in codes:
        return TooCostlyError(tenant, operation, f"costs too much for one query: {message} {_REPORT_IT}")
    return QueryRejectedError(tenant, operation, f"was rejected: {message} {_REPORT_IT}")


def _timed_out(problem: str, cause: Exception | None = None) -> Retry:
    return Retry(problem, TimedOutError, slowness=TOO_SLOW, cause=cause)


def _unavailable(status: int, host: str) -> str:
    """The problem and the remedy for a status that refuses every call."""
    if status == requests.codes.not_found:
        return f"found no store at {host}, or not this version of its API: check the handle and the API URL."
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
    """A `Retry-After` header in seconds. Its other form, a date, is left to the back-off."""
    try:
        seconds = float(retry_after) if retry_after else math.nan
    except ValueError:
        return None
    return None if math.isnan(seconds) else seconds


def host_of(root: str) -> str:
    """The host of an API's root, for messages."""
    return urlsplit(root).netloc
