"""What a page may load, tokens of forms, and addresses that are safe to go on to."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOKEN_BYTES: Final = 32
_LONGEST_NEXT: Final = 2_000

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)


class SecurityHeaders:
    """Middleware that gives every response the policy of the pages.

    Args:
        frame_ancestors: origins that may show the pages in a frame; without any, none may.
    """

    def __init__(self, app: ASGIApp, frame_ancestors: str = "") -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": _POLICY.format(ancestors=frame_ancestors or "'none'"),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # without a referrer, a form's Origin would be null
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        }
        if not frame_ancestors:
            self._headers["X-Frame-Options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "private, no-cache"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def form_token(cookie: str) -> str:
    """The token of a form for the browser that has a cookie.

    It is masked with random bytes, so that no two are alike: compressed pages would let an equal one be guessed
    (https://www.breachattack.com/).
    """
    mask = secrets.token_bytes(_TOKEN_BYTES)
    return (mask + _mixed(_digest(cookie), mask)).hex()


def is_form_token(token: str, cookie: str) -> bool:
    """Whether a token is one of that browser's."""
    try:
        given = bytes.fromhex(token)
    except ValueError:
        return False
    if len(given) != 2 * _TOKEN_BYTES:
        return False
    return hmac.compare_digest(_mixed(given[_TOKEN_BYTES:], given[:_TOKEN_BYTES]), _digest(cookie))


def is_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site made it send the request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def safe_next(text: str | None) -> str:
    """The path within the dashboard to go on to; `/` for anything that leads elsewhere, or nowhere."""
    if not text or len(text) > _LONGEST_NEXT or not text.isascii() or not text.isprintable():
        return "/"
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        return "/"
    return text


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(b"form:" + cookie.encode()).digest()


def _mixed(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
