"""The operations that this package sends, read from `queries/*.graphql`.

graphql-core, which takes a while to import, is imported with `query_documents` when the first operation is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

API_VERSION = "2026-10"
"""The version of the Admin API that every query is written and validated for."""


@dataclass(frozen=True)
class Operation:
    """One named operation, ready to send."""

    name: str
    text: str


@cache
def operation(name: str) -> Operation:
    """The operation of that name, with the fragments it uses.

    Raises:
        KeyError: no file defines it.
    """
    from xeno_pipeline.shopify.query_documents import operation_text

    return Operation(name, operation_text(name))


def bulk_query(name: str, *, query: str | None = None) -> str:
    """The text of a bulk query: one anonymous operation without variables, its fragments written out.

    A bulk operation takes no variables, and whether it takes named fragments is not documented.

    Args:
        name: an operation whose only variable is `$query`.
        query: the search filter to put in the variable's place; None leaves the argument out.
    """
    from xeno_pipeline.shopify.query_documents import bulk_text

    return bulk_text(name, query)


@cache
def selection_version(bulk_operation: str) -> int:
    """A number that changes with the fields that a bulk operation selects; rows record which version read them.

    Returns:
        A positive 31-bit integer, the same on every machine.
    """
    digest = hashlib.sha256(f"{API_VERSION}\n{bulk_query(bulk_operation)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
