"""The `errors` of a GraphQL answer, in whichever shape they come.

Shopify's own are a list of `{"message", "extensions": {"code"}}`. What stands before its GraphQL engine answers with
less: no code, a code in small letters or the number of an HTTP status, one object, one string.
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
"""What whole messages without a code say; one that merely contains such a word, say in a field's name, says nothing."""


@dataclass(frozen=True)
class GraphqlError:
    """One error: its code in capitals, or the one that its message stands for; None where it has none."""

    code: str | None
    message: str


def read_errors(errors: Any) -> list[GraphqlError]:
    """The errors of an answer, from the value of its `errors`; none where that is empty.

    Raises:
        TypeError: it has no shape that is known.
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
    said = message.strip().removesuffix(".")
    return GraphqlError(next((code for pattern, code in _MESSAGES if pattern.fullmatch(said)), None), message)


def _texts(values: Any) -> Iterator[str]:
    """The texts of an object that names a problem for each of some keys, in one string or a list of them."""
    for value in values:
        yield from (str(item) for item in value) if isinstance(value, list) else (str(value),)
