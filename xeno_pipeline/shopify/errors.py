"""What can go wrong with Shopify: each error names the tenant, the operation and the remedy."""

from __future__ import annotations

from datetime import datetime

from xeno_pipeline.errors import XenoError


class ShopifyError(XenoError):
    """A call to Shopify failed for good.

    Args:
        tenant: the handle of the store.
        operation: the name of the query or mutation, or what else was asked.
        problem: what happened and what to do about it; a sentence without its subject.
    """

    def __init__(self, tenant: str, operation: str, problem: str) -> None:
        super().__init__(f"{tenant}: {operation} {problem}")
        self.tenant = tenant
        self.operation = operation
        self.problem = problem


class TokenRejectedError(ShopifyError):
    """Shopify does not know the access token: it is wrong, expired or revoked."""


class AccessDeniedError(ShopifyError):
    """The token lacks an access scope (or the app its approval for protected customer data)."""


class StoreUnavailableError(ShopifyError):
    """There is no such store, or it is frozen, locked or closed."""


class MovedError(StoreUnavailableError):
    """The store's address leads to another shop's domain: it was renamed.

    Args:
        tenant: the handle of the store.
        operation: what was asked.
        problem: how it was redirected; a sentence without its subject and its end.
        domain: where to, a domain of myshopify.com.
    """

    def __init__(self, tenant: str, operation: str, problem: str, domain: str) -> None:
        remedy = f"use the store's myshopify.com address, which seems to be {domain} now."
        super().__init__(tenant, operation, f"{problem}: {remedy}")
        self.domain = domain


class UnsupportedVersionError(ShopifyError):
    """Shopify answers with another version of the API than was asked for."""


class QueryRejectedError(ShopifyError):
    """Shopify refuses the query itself: repeating it cannot help."""


class TooCostlyError(QueryRejectedError):
    """The query may cost more points than one query may; fewer objects at once would do."""


class IgnoredFilterError(QueryRejectedError):
    """A search filter was ignored, so that everything came back instead of what was asked for."""


class UnreachableError(ShopifyError):
    """No connection to the API could be made."""


class OverloadedError(ShopifyError):
    """Shopify kept throttling, failing or timing out until the deadline."""


class TimedOutError(OverloadedError):
    """What was asked for takes Shopify longer than it may; fewer objects at once would do, or another moment."""


class SlowObjectError(TimedOutError):
    """One object takes Shopify too long even if it is asked for alone; the others that were asked for came.

    Args:
        gid: the object.
        changed_at: when it was changed, where that is known.
    """

    def __init__(self, tenant: str, operation: str, problem: str, gid: str, changed_at: datetime | None = None) -> None:
        super().__init__(tenant, operation, problem)
        self.gid = gid
        self.changed_at = changed_at


class MalformedAnswerError(ShopifyError):
    """What came back is not what the API promises."""


class BulkRefusedError(ShopifyError):
    """Shopify refuses to run a query as a bulk operation."""


class BulkDeniedError(AccessDeniedError):
    """A bulk operation failed since the token lacks an access scope (or the app an approval)."""


class BulkError(ShopifyError):
    """A bulk operation brought nothing that can be loaded.

    Args:
        tenant: the handle of the store.
        operation: the bulk operation, or its result.
        reason: what happened; a sentence without its subject.
    """

    def __init__(self, tenant: str, operation: str, reason: str) -> None:
        super().__init__(tenant, operation, f"{reason}; nothing was loaded. Run the sync again.")
        self.reason = reason


class BulkFailedError(BulkError):
    """A bulk operation failed, expired or was cancelled."""


class BulkResultError(BulkError):
    """The file of a bulk operation is truncated, malformed or not the size that was announced."""
