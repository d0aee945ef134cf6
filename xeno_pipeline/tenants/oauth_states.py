"""Connections that a browser has begun and not completed: `ops.oauth_states`.

Only hashes are kept: who reads the table can complete none. A begun one ends after ten minutes.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from xeno_pipeline.database.connection import Connection

LIFETIME_SECONDS = 600
_MOST_BEGUN = 20_000
"""Anybody can begin one; the table does not grow without bound for it."""


@dataclass(frozen=True)
class Begun:
    """What Shopify is given to hand back, and what the browser keeps."""

    state: str = field(repr=False)
    browser: str = field(repr=False)


def begin(connection: Connection, handle: str) -> Begun | None:
    """Remember that a browser begins to connect a store; None where too many have begun."""
    begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    connection.execute("delete from ops.oauth_states where expires_at < now()")
    kept = connection.execute(
        """
        insert into ops.oauth_states (state_hash, browser_hash, tenant_id, expires_at)
        select %s, %s, %s, now() + make_interval(secs => %s)
        where (select count(*) from ops.oauth_states) < %s
        """,
        [_hash(begun.state), _hash(begun.browser), handle, LIFETIME_SECONDS, _MOST_BEGUN],
    )
    return begun if kept.rowcount else None


def use(connection: Connection, handle: str, state: str, browser: str) -> bool:
    """Whether this browser began to connect this store with this state, which is used up by that."""
    used = connection.execute(
        """
        delete from ops.oauth_states
        where state_hash = %s and browser_hash = %s and tenant_id = %s and expires_at >= now()
        """,
        [_hash(state), _hash(browser), handle],
    )
    return used.rowcount == 1


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
