"""Values in the text format of COPY.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

NULL = "\\N"

_NEEDS_ESCAPE = frozenset("\\\t\n\r\x00")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": ""})


def text(value: str | None) -> str:
    """A text; PostgreSQL's text cannot hold a NUL, which is left out."""
    if value is None:
        return NULL
    if _NEEDS_ESCAPE.isdisjoint(value):
        return value
    return value.translate(_ESCAPES)


def number(value: int | str | None) -> str:
    """A whole number; Shopify writes the wide ones as strings."""
    return NULL if value is None else str(int(value))


def boolean(value: bool | None) -> str:
    """A truth value."""
    return NULL if value is None else "t" if value else "f"


def texts(values: Iterable[str] | None) -> str:
    """An array of texts."""
    if values is None:
        return NULL
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return text("{" + ",".join(quoted) + "}")


def json(value: Any) -> bytes:
    """A JSON document; jsonb cannot hold a NUL inside a string, which is left out."""
    document = orjson.dumps(value)
    if b"\\" not in document:
        return document
    if b"\\u0000" in document:
        document = orjson.dumps(_without_nul(value))
    return document.replace(b"\\", b"\\\\")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nul(item) for key, item in value.items()}
    return value
