"""Shopify's OAuth: its URLs, signed queries, and the grants that issue access tokens.

Sources: https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens (authorization-code-grant,
client-credentials-grant, offline-access-tokens).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from xeno_pipeline.errors import UsageError
from xeno_pipeline.shopify.errors import (
    MalformedResponseError,
    MovedError,
    OverloadedError,
    TokenRejectedError,
    UnreachableError,
)
from xeno_pipeline.shopify.retry import pause_after
from xeno_pipeline.shopify.shop_domains import SHOPIFY_URLS, redirected_domain
from xeno_pipeline.shopify.transport import REDIRECT_STATUSES, is_loopback, open_session

log = logging.getLogger(__name__)

_WHAT = "the token grant"
"""What errors call the request."""

_TOKEN = re.compile(r"[!-~]{1,4096}")
_TIMEOUTS = (5.0, 15.0)
"""Seconds to connect, and to wait for an answer."""
_TRANSIENT_STATUSES = (408, 429, 430)
"""Statuses that pass by themselves, as every status from 500 on does."""
_ATTEMPTS = 3
_LONGEST_PAUSE_SECONDS = 4.0


class GrantRefusedError(TokenRejectedError):
    """Shopify issues no token for the presented credentials. A retry cannot help."""


@dataclass(frozen=True)
class App:
    """An app as Shopify knows it: its client id (API key) and its client secret."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class IssuedToken:
    """The result of a grant.

    Args:
        token: the access token.
        scopes: what the store granted.
        expires_at: when the token ends; None: never.
        refresh_token: for the next pair of tokens; None if there is none.
    """

    token: str = field(repr=False)
    scopes: frozenset[str]
    expires_at: datetime | None = None
    refresh_token: str | None = field(default=None, repr=False)


def check_url_template(template: str) -> str:
    """Return the template if it is Shopify's, or for development that of a server on this machine.

    Raises:
        UsageError: it is neither. Merchants, and the app's secret, would be sent there.
    """
    parts = urlsplit(template)
    is_local = is_loopback(template) and "{handle}" in parts.path and template.count("{") == template.count("}") == 1
    if template == SHOPIFY_URLS or (is_local and parts.scheme in ("http", "https")):
        return template
    raise UsageError(
        "XENO_SHOPIFY_URL_TEMPLATE leads to stores on this machine, for development: it is written as "
        "http://127.0.0.1:8700/{handle} is; unset it to connect stores at Shopify."
    )


def authorize_url(store_url: str, app: App, scopes: Iterable[str], redirect_uri: str, state: str) -> str:
    """The page where a merchant authorizes the app. Without `grant_options[]` the token is an offline one."""
    query = {"client_id": app.client_id, "scope": ",".join(scopes), "redirect_uri": redirect_uri, "state": state}
    return f"{store_url}/admin/oauth/authorize?{urlencode(query)}"


def sign_query(query: Mapping[str, str], secret: str) -> str:
    """The signature of a query: HMAC-SHA256 in hexadecimal digits, over all but the signature itself.

    Delimiters within a name or value are escaped, so that no query can be taken for another.
    """
    pairs = sorted(f"{_escaped(k).replace('=', '%3D')}={_escaped(v)}" for k, v in query.items() if k != "hmac")
    return hmac.new(secret.encode(), "&".join(pairs).encode(), hashlib.sha256).hexdigest()


def is_signed_query(query: Mapping[str, str], secrets: Sequence[str]) -> bool:
    """Whether a query was signed with one of the secrets, compared in constant time."""
    given = query.get("hmac", "").encode()
    return any(hmac.compare_digest(sign_query(query, secret).encode(), given) for secret in secrets)


def exchange_code(tenant: str, store_url: str, app: App, code: str) -> IssuedToken:
    """The pair of tokens for the code of a callback. It is requested once: a code is valid once.

    Raises:
        GrantRefusedError: the code was used, is too old, or another app's.
        UnreachableError, OverloadedError, MalformedResponseError: no tokens were issued.
    """
    return _grant(tenant, store_url, app, {"code": code, "expiring": "1"}, attempts=1)


def refresh(tenant: str, store_url: str, app: App, refresh_token: str) -> IssuedToken:
    """The next pair of tokens. If the response is lost, it is requested again with the same refresh token, which
    Shopify accepts until the new pair is used: https://shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens

    Raises:
        GrantRefusedError: the refresh token was replaced, revoked, or is older than 90 days.
        MovedError: the store is at another domain by now.
        UnreachableError, OverloadedError, MalformedResponseError: no tokens were issued.
    """
    issued = _grant(tenant, store_url, app, {"grant_type": "refresh_token", "refresh_token": refresh_token})
    if issued.refresh_token is None:
        raise MalformedResponseError(tenant, _WHAT, "was answered without a refresh token.")
    return issued


def request_token(tenant: str, store_url: str, app: App) -> IssuedToken:
    """A token of 24 hours, for an app of the organisation that owns the store (client credentials).

    Raises:
        GrantRefusedError: the app is unknown, not installed in the store, or of another organisation.
        MovedError: the store is at another domain by now.
        UnreachableError, OverloadedError, MalformedResponseError: no token was issued.
    """
    return _grant(tenant, store_url, app, {"grant_type": "client_credentials"})


def _grant(
    tenant: str,
    store_url: str,
    app: App,
    form: Mapping[str, str],
    *,
    attempts: int = _ATTEMPTS,
) -> IssuedToken:
    """Request tokens; failures that may pass are retried."""
    for failures in range(1, attempts + 1):
        try:
            return _request(tenant, store_url, app, form)
        except (UnreachableError, OverloadedError) as error:
            if failures == attempts:
                raise
            log.warning("%s Retrying.", error)
            time.sleep(pause_after(failures, _LONGEST_PAUSE_SECONDS))
    raise AssertionError("an attempt returns or raises")


def _request(tenant: str, store_url: str, app: App, form: Mapping[str, str]) -> IssuedToken:
    requested_at = datetime.now(UTC)
    with open_session(store_url) as session:
        try:
            response = session.post(
                f"{store_url}/admin/oauth/access_token",
                data={"client_id": app.client_id, "client_secret": app.secret, **form},
                headers={"Accept": "application/json"},
                timeout=_TIMEOUTS,
                allow_redirects=False,  # the secret must not follow to another host
            )
        except requests.RequestException:  # some of their messages quote what was sent
            raise UnreachableError(tenant, _WHAT, "got no answer from the store.") from None
    status = response.status_code
    if status in _TRANSIENT_STATUSES or status >= requests.codes.server_error:
        raise OverloadedError(tenant, _WHAT, f"met HTTP {status}: try again later.")
    domain = redirected_domain(response.headers.get("Location")) if status in REDIRECT_STATUSES else None
    if domain is not None:
        raise MovedError(tenant, _WHAT, f"was redirected (HTTP {status})", domain)
    if status != requests.codes.ok:
        raise GrantRefusedError(tenant, _WHAT, f"was refused (HTTP {status}{_reason(response)}).")
    try:
        return _read(response.json(), requested_at)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise MalformedResponseError(tenant, _WHAT, "was answered with something that is not a token.") from None


def _read(answer: Mapping[str, Any], requested_at: datetime) -> IssuedToken:
    seconds = answer.get("expires_in")
    return IssuedToken(
        token=_checked(answer["access_token"]),
        scopes=frozenset(scope for scope in answer["scope"].split(",") if scope),
        expires_at=None if seconds is None else requested_at + timedelta(seconds=int(seconds)),
        refresh_token=None if answer.get("refresh_token") is None else _checked(answer["refresh_token"]),
    )


def _checked(token: Any) -> str:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("no token")
    return token


def _reason(response: requests.Response) -> str:
    """The error code of a refusal, if it looks like one of the standard's. Nothing else of the response is quoted."""
    try:
        error = response.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return f", {error}" if isinstance(error, str) and re.fullmatch(r"[a-z_]{1,40}", error) else ""


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")
