"""The `errors` of a GraphQL response, in every shape that occurs.

Shopify's own are a list of `{"message", "extensions": {"code"}}`. Servers in front of its GraphQL engine send less: no
code, a code in lower case or the number of an HTTP status, a single object, a single string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

THROTTLED = "THROTTLED"
TIMEOUT = "TIMEOUT"
INTERNAL = "INTERNAL_SERVER_ERROR"
ACCESS_DENIED = "ACCESS_DENIED"
MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"

_ALIASES = {
    **dict.fromkeys(("429", "430", "TOO_MANY_REQUESTS", "RATE_LIMITED"), THROTTLED),
    **dict.fromkeys(("408", "504", "GATEWAY_TIMEOUT", "REQUEST_TIMEOUT"), TIMEOUT),
    **dict.fromkeys(("500", "502", "503", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "BAD_GATEWAY"), INTERNAL),
}
"""Other codes for the same."""

_MESSAGES = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), code)
    for pattern, code in (
        (r"((request|query) )?(was )?throttled|too many requests", THROTTLED),
        (r"exceeded \d+ calls per second for api client(\..*)?", THROTTLED),
        (r"((request|query|gateway|execution) )?(time-?out|timed out)", TIMEOUT),
        (r"internal (server )?error", INTERNAL),
        (r"internal error\. looks like something went wrong on our end(\..*)?", INTERNAL),
        (r"bad gateway|service (temporarily )?unavailable", INTERNAL),
        (r"query cost is \d+, which exceeds the single query max cost limit .*", MAX_COST_EXCEEDED),
        (r"access denied for \w+ field(\..*)?", ACCESS_DENIED),
        (r"this app is not approved to access the \w+ object(\..*)?", ACCESS_DENIED),
    )
)
"""The codes of whole messages without a code. A message that merely contains such words has none."""


@dataclass(frozen=True)
class GraphqlError:
    """One error: its code in capitals, or the one that its message stands for; None if it has neither."""

    code: str | None
    message: str


def read_errors(errors: Any) -> list[GraphqlError]:
    """The errors in the value of a response's `errors`.

    Raises:
        TypeError: the value has no known shape.
    """
    if not errors:
        return []
    if isinstance(errors, str):
        return [_of_text(errors)]
    if isinstance(errors, Mapping):
        return [_of_object(errors)] if "message" in errors else [_of_text(text) for text in _texts(errors.values())]
    if not isinstance(errors, list):
        raise TypeError("errors")
    return [_of_item(item) for item in errors]


def _of_item(item: Any) -> GraphqlError:
    if isinstance(item, Mapping):
        return _of_object(item)
    if isinstance(item, str) and (found := _of_text(item)).code is not None:
        return found
    raise TypeError("errors")


def _of_object(error: Mapping[str, Any]) -> GraphqlError:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    message = str(error.get("message"))
    if code is None or code == "":
        return _of_text(message)
    code = str(code).upper()
    return GraphqlError(_ALIASES.get(code, code), message)


def _of_text(message: str) -> GraphqlError:
    whole = message.strip().removesuffix(".")
    return GraphqlError(next((code for pattern, code in _MESSAGES if pattern.fullmatch(whole)), None), message)


def _texts(values: Any) -> Iterator[str]:
    """The texts of an object that has a string, or a list of strings, for each of some keys."""
    for value in values:
        yield from (str(item) for item in value) if isinstance(value, list) else (str(value),)
