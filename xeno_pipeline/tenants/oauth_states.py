"""Pending OAuth authorizations: `ops.oauth_states`, each valid for ten minutes.

Only hashes are stored, so that read access to the table does not allow anyone to complete one.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from xeno_pipeline.database.connection import Connection

LIFETIME_SECONDS = 600
_MAX_PENDING = 20_000
"""Anyone can start one, so the table must be bounded."""


@dataclass(frozen=True)
class PendingAuthorization:
    """The secrets of one authorization.

    Args:
        state: what Shopify returns with the callback.
        browser: the value of the browser's cookie.
    """

    state: str = field(repr=False)
    browser: str = field(repr=False)


def create(connection: Connection, handle: str) -> PendingAuthorization | None:
    """Start an authorization for a store; None where too many are pending."""
    pending = PendingAuthorization(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    connection.execute("delete from ops.oauth_states where expires_at < now()")
    inserted = connection.execute(
        """
        insert into ops.oauth_states (state_hash, browser_hash, tenant_id, expires_at)
        select %s, %s, %s, now() + make_interval(secs => %s)
        where (select count(*) from ops.oauth_states) < %s
        """,
        [_hash(pending.state), _hash(pending.browser), handle, LIFETIME_SECONDS, _MAX_PENDING],
    )
    return pending if inserted.rowcount else None


def consume(connection: Connection, handle: str, state: str, browser: str) -> bool:
    """Delete a pending authorization; false where this browser started none for this store with this state."""
    deleted = connection.execute(
        """
        delete from ops.oauth_states
        where state_hash = %s and browser_hash = %s and tenant_id = %s and expires_at >= now()
        """,
        [_hash(state), _hash(browser), handle],
    )
    return deleted.rowcount == 1


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
