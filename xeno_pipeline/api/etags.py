"""ETags: which state of a store's marts an answer is of, known before any mart is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from starlette.types import Scope

from xeno_pipeline.database.connection import Connection

_VERSION = version("xeno-pipeline")

WITHOUT_ETAG = {"x-without-etag": True}
"""Declares, in the description of an operation, that its answers change with more than the marts."""


@dataclass(frozen=True)
class State:
    """The state of a store's marts.

    Args:
        made_at: when they were made; None: never.
        segments_changed_at: when a segment was last saved, changed or removed; None: never.
    """

    made_at: datetime | None
    segments_changed_at: datetime | None

    def etag(self, store: str, scopes: Iterable[str], address: str) -> str:
        """The ETag of an answer: weak, because equal answers may differ in their bytes."""
        parts = [_VERSION, store, str(self.made_at), str(self.segments_changed_at), ",".join(sorted(scopes)), address]
        return f'W/"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"'


def state_of(connection: Connection, store: str) -> State:
    """The state of a store's marts."""
    query = """
        select
            (select transformed_at from ops.tenant_marts where tenant_id = %(store)s),
            (select max(changed_at) from ops.segments where tenant_id = %(store)s)
        """
    row = connection.execute(query, {"store": store}).fetchone()
    assert row is not None
    return State(*row)


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether who asks has this state already, by the header If-None-Match."""
    if if_none_match is None:
        return False
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


def address_of(scope: Scope) -> str:
    """What was asked for: the path and the query."""
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
