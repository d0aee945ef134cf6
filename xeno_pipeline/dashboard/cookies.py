"""The cookies of a browser: its session, a number to make forms' tokens from before there is one, its language."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

LANGUAGE_COOKIE = "xeno_language"
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Cookies:
    """How cookies are set.

    Args:
        is_secure: whether browsers reach the pages by HTTPS.
        is_framed: whether pages of other sites may show ours in a frame, where only such cookies are sent that say so.
    """

    is_secure: bool
    is_framed: bool = False

    @property
    def session_name(self) -> str:
        """Behind HTTPS a name that no other host, and no page by HTTP, can set (RFC 6265bis, `__Host-`)."""
        return "__Host-xeno_session" if self.is_secure else "xeno_session"

    @property
    def browser_name(self) -> str:
        """The name of the number, like that of the session."""
        return "__Host-xeno_browser" if self.is_secure else "xeno_browser"

    def session_of(self, request: Request) -> str:
        """The secret of the session; empty without one."""
        return request.cookies.get(self.session_name, "")

    def of_browser(self, request: Request) -> str:
        """What form tokens are made from: the session, or the browser's number before there is one."""
        known = self.session_of(request) or request.cookies.get(self.browser_name)
        if known is None:
            known = getattr(request.state, "browser", None) or secrets.token_hex(32)
            request.state.browser = known
        return known

    def keep_browser(self, request: Request, response: Response) -> None:
        """Set the number that a form on this page was made from."""
        number = getattr(request.state, "browser", None)
        if number is not None:
            self._set(response, self.browser_name, number, None)

    def start(self, response: Response, secret: str, ends_at: datetime) -> None:
        """Set the session's cookie."""
        self._set(response, self.session_name, secret, max(0, int((ends_at - datetime.now(UTC)).total_seconds())))
        response.delete_cookie(self.browser_name, secure=self.is_secure, httponly=True)

    def end(self, response: Response) -> None:
        """Remove the session's cookie."""
        response.delete_cookie(self.session_name, secure=self.is_secure, httponly=True, samesite=self._same_site)

    def choose_language(self, response: Response, language: str) -> None:
        """Set the language."""
        self._set(response, LANGUAGE_COOKIE, language, _YEAR)

    @property
    def _same_site(self) -> Literal["lax", "none"]:
        return "none" if self.is_framed and self.is_secure else "lax"

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name, value, max_age=seconds, httponly=True, secure=self.is_secure, samesite=self._same_site, path="/"
        )
        if self._same_site == "none":
            name_, last = response.raw_headers[-1]
            response.raw_headers[-1] = (name_, last + b"; Partitioned")
