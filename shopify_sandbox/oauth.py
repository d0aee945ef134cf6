"""Shopify's OAuth server for one store: it lets an app in, and issues tokens that end.

Rules: https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens, and for what becomes of a refresh
token https://shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from shopify_sandbox.state.store import Store

DEFAULT_APP = {"client_id": "sandbox-app", "client_secret": "shpss_sandbox"}
_HOUR, _DAY = 3600, 86400
_REFRESH_SECONDS = 90 * _DAY

Pair = dict[str, Any]
"""An access token (None once it was replaced) and when it ends, its refresh token, and the one that brought it."""


class OAuthError(Exception):
    """A request that is refused, with its status and the words of the answer."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.status = error, status


class OAuthServer:
    """One store's endpoints below `/admin/oauth`. What was issued is remembered over a restart.

    It is called within the store's lock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- what the app asks for

    def authorize(self, query: Mapping[str, str]) -> str:
        """Where the browser of a merchant who lets the app in is sent: to the app, with a code.

        Raises:
            OAuthError: The app is another, or is not on this machine.
        """
        redirect_uri = urlsplit(query.get("redirect_uri", ""))
        if query.get("client_id") != self._app["client_id"]:
            raise OAuthError("invalid_request", "Could not find Shopify API application with api_key")
        if redirect_uri.hostname not in ("127.0.0.1", "localhost"):
            raise OAuthError("invalid_request", "The redirect_uri is not whitelisted")
        asked = [scope for scope in query.get("scope", "").split(",") if scope]
        answer = {"shop": f"{self._store.handles[-1]}.myshopify.com", "timestamp": str(int(time.time()))}
        answer |= {"state": query["state"]} if "state" in query else {}
        if self._setting("refuses", default=False):
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_hex(16)
            granted = [scope for scope in asked if scope in self._store.scopes]
            self._remember("codes", self._setting("codes", default={}) | {answer["code"]: granted})
        return f"{redirect_uri.geturl()}?{urlencode(signed(answer, self._app['client_secret']))}"

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request for tokens.

        Raises:
            OAuthError: The app is another, or what it presents is worth nothing (any more).
        """
        if {name: form.get(name) for name in self._app} != self._app:
            raise OAuthError("application_cannot_be_found", "Could not find Shopify API application")
        grant_type = form.get("grant_type")
        if grant_type == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        if grant_type == "client_credentials":
            return self._issue(self._store.scopes, _DAY - 1)
        return self._exchange(form.get("code", ""), expiring=form.get("expiring") == "1")

    def admits(self, token: str | None) -> bool:
        """Whether an access token opens the store. Its first use makes the refresh token that brought it worthless."""
        used = next((p for p in self._pairs if token is not None and p["access"] == token), None)
        if used is None or (used["ends"] is not None and used["ends"] <= self._store.now()):
            return False
        if used["brought_by"] is not None:
            self._settle(used)
        return True

    # -- what a test does

    @property
    def secret(self) -> str:
        """The app's secret, which signs what it is sent."""
        return self._app["client_secret"]

    def set_app(self, client_id: str, client_secret: str) -> None:
        """Be another app's server."""
        self._remember("app", {"client_id": client_id, "client_secret": client_secret})

    def refuse(self, *, refuses: bool) -> None:
        """Whether the merchant declines."""
        self._remember("refuses", refuses)

    def expire(self) -> None:
        """Every access token that may end has ended."""
        self._keep([pair | {"ends": 0 if pair["ends"] is not None else None} for pair in self._pairs])

    def revoke(self) -> None:
        """No token that was issued is worth anything, as after the app was uninstalled."""
        self._keep([])

    # -- tokens

    def _exchange(self, code: str, *, expiring: bool) -> dict[str, Any]:
        codes = dict(self._setting("codes", default={}))
        if code not in codes:
            raise OAuthError("invalid_request", "The authorization code was not found or was already used")
        scopes = codes.pop(code)
        self._remember("codes", codes)
        return self._issue(scopes, _HOUR if expiring else None, refreshable=expiring)

    def _refresh(self, refresh_token: str) -> dict[str, Any]:
        replaced = next((p for p in self._pairs if p["refresh"] is not None and p["refresh"] == refresh_token), None)
        if replaced is None:
            raise OAuthError("invalid_request", "This request requires an active refresh_token", 401)
        if replaced["brought_by"] is not None:
            self._settle(replaced)
        # A pair that the same refresh token brought before was never used: its answer was lost.
        others = [p for p in self._pairs if p["refresh"] != refresh_token and p["brought_by"] != refresh_token]
        self._keep([*others, replaced | {"access": None, "brought_by": None}])
        return self._issue(replaced["scopes"], _HOUR, refreshable=True, brought_by=refresh_token)

    def _settle(self, used: Pair) -> None:
        """Forget the refresh token that brought a pair, now that the pair is used."""
        pairs = [pair for pair in self._pairs if pair["refresh"] != used["brought_by"]]
        self._keep([pair | {"brought_by": None} if pair["access"] == used["access"] else pair for pair in pairs])

    def _issue(
        self, scopes: Sequence[str], seconds: int | None, *, refreshable: bool = False, brought_by: str | None = None
    ) -> dict[str, Any]:
        pair: Pair = {
            "access": f"shpat_{secrets.token_hex(16)}",
            "ends": None if seconds is None else self._store.now() + seconds,
            "refresh": f"shprt_{secrets.token_hex(16)}" if refreshable else None,
            "brought_by": brought_by,
            "scopes": list(scopes),
        }
        self._keep([*self._pairs, pair])
        answer = {"access_token": pair["access"], "scope": ",".join(scopes)}
        answer |= {} if seconds is None else {"expires_in": seconds}
        if refreshable:
            answer |= {"refresh_token": pair["refresh"], "refresh_token_expires_in": _REFRESH_SECONDS}
        return answer

    # -- what is remembered

    @property
    def _app(self) -> dict[str, str]:
        return dict(self._setting("app", default=DEFAULT_APP))

    @property
    def _pairs(self) -> list[Pair]:
        return list(self._setting("pairs", default=[]))

    def _keep(self, pairs: Sequence[Pair]) -> None:
        self._remember("pairs", list(pairs))

    def _setting(self, name: str, *, default: Any) -> Any:
        return self._store.overlay.setting(f"oauth_{name}", default)

    def _remember(self, name: str, value: Any) -> None:
        self._store.overlay.set(f"oauth_{name}", value)


def signed(query: Mapping[str, str], secret: str) -> dict[str, str]:
    """A query with its signature."""
    message = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    return {**query, "hmac": hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()}
