"""Errors of calls to Shopify. Each names the tenant, the operation and the remedy.

    ShopifyError
    ├── TransientError              may pass by itself: the same call may succeed later
    │   ├── UnreachableError
    │   ├── OverloadedError
    │   │   └── TimedOutError       fewer objects at once may succeed now
    │   │       └── SlowObjectError
    │   ├── MalformedResponseError
    │   └── BulkError               the next sync starts another bulk operation
    │       ├── BulkFailedError
    │       └── BulkResultError
    ├── TokenRejectedError          from here on, the same call fails until somebody changes something
    │   └── oauth.GrantRefusedError
    ├── AccessDeniedError
    │   └── BulkDeniedError
    ├── StoreUnavailableError
    │   └── MovedError              the call succeeds at the new domain
    ├── UnsupportedVersionError
    ├── QueryRejectedError
    │   ├── TooCostlyError          fewer objects at once succeed
    │   └── IgnoredFilterError
    ├── BulkRefusedError            the query can be read in pages
    └── subscriptions.SubscriptionRefusedError

`ShopifyClient.execute` retries by itself what is worth a retry. It raises a `TransientError` when its retry policy's
deadline has passed, and every other error at once.
"""

from __future__ import annotations

from datetime import datetime

from xeno_pipeline.errors import XenoError


class ShopifyError(XenoError):
    """A call to Shopify failed.

    Args:
        tenant: the store's handle.
        operation: the name of the query or mutation, or of what else was requested.
        problem: what happened and the remedy; a sentence without its subject.
    """

    def __init__(self, tenant: str, operation: str, problem: str) -> None:
        super().__init__(f"{tenant}: {operation} {problem}")
        self.tenant = tenant
        self.operation = operation
        self.problem = problem


class TransientError(ShopifyError):
    """The failure may pass by itself. Retrying is worthwhile: later, or with fewer objects."""


class UnreachableError(TransientError):
    """No connection to the API could be made."""


class OverloadedError(TransientError):
    """Shopify kept throttling, failing or timing out until the deadline."""


class TimedOutError(OverloadedError):
    """The query takes Shopify longer than its limit. Fewer objects at once may succeed, or another moment."""


class SlowObjectError(TimedOutError):
    """One object takes Shopify too long even when it is requested alone. All other requested objects came.

    Args:
        gid: the object.
        changed_at: when it was changed; None where that is not known.
    """

    def __init__(self, tenant: str, operation: str, problem: str, gid: str, changed_at: datetime | None = None) -> None:
        super().__init__(tenant, operation, problem)
        self.gid = gid
        self.changed_at = changed_at


class MalformedResponseError(TransientError):
    """The response is not what the API promises."""


class BulkError(TransientError):
    """A bulk operation returned nothing that can be loaded.

    Args:
        operation: the bulk operation, or its result.
        reason: what happened; a sentence without its subject.
    """

    def __init__(self, tenant: str, operation: str, reason: str) -> None:
        super().__init__(tenant, operation, f"{reason}; nothing was loaded. Run the sync again.")
        self.reason = reason


class BulkFailedError(BulkError):
    """A bulk operation failed, expired or was cancelled."""


class BulkResultError(BulkError):
    """The file of a bulk operation is truncated, malformed or not of the announced size."""


class TokenRejectedError(ShopifyError):
    """Shopify does not accept the access token: it is wrong, expired or revoked."""


class AccessDeniedError(ShopifyError):
    """The token lacks an access scope, or the app its approval for protected customer data."""


class BulkDeniedError(AccessDeniedError):
    """A bulk operation failed because the token lacks an access scope, or the app an approval."""


class StoreUnavailableError(ShopifyError):
    """There is no such store, or it is frozen, locked or closed."""


class MovedError(StoreUnavailableError):
    """The store was renamed: its address redirects to another domain of myshopify.com.

    Args:
        problem: how it was redirected; a sentence without its subject and its end.
        domain: the new domain.
    """

    def __init__(self, tenant: str, operation: str, problem: str, domain: str) -> None:
        remedy = f"use the store's myshopify.com address, which seems to be {domain} now."
        super().__init__(tenant, operation, f"{problem}: {remedy}")
        self.domain = domain


class UnsupportedVersionError(ShopifyError):
    """Shopify answered with another version of the API than the requested one."""


class QueryRejectedError(ShopifyError):
    """Shopify rejects the query itself."""


class TooCostlyError(QueryRejectedError):
    """The query may cost more points than a single query is allowed to. Fewer objects at once succeed."""


class IgnoredFilterError(QueryRejectedError):
    """Shopify ignored a search filter, so that the response holds everything instead of what was requested."""


class BulkRefusedError(ShopifyError):
    """Shopify does not run a query as a bulk operation."""
