"""Errors in the shapes of the Admin API."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError

RATE_LIMITS = "https://shopify.dev/api/usage/rate-limits"
ACCESS_SCOPES = "https://shopify.dev/api/usage/access-scopes"


class ApiError(GraphQLError):
    """An error of one field, with Shopify's code under `extensions`."""

    def __init__(self, message: str, code: str | None = None, **extensions: Any) -> None:
        super().__init__(message, extensions={"code": code, **extensions} if code else extensions or None)


def access_denied(field: str, scope: str) -> ApiError:
    """What a field says whose scope the token lacks."""
    required = f"`{scope}` access scope."
    return ApiError(
        f"Access denied for {field} field. Required access: {required}",
        "ACCESS_DENIED",
        documentation=ACCESS_SCOPES,
        requiredAccess=required,
    )


def body(message: str, code: str | None = None, **extensions: Any) -> dict[str, Any]:
    """An error as it stands in an answer's `errors`."""
    content: dict[str, Any] = {"message": message}
    if code:
        content["extensions"] = {"code": code, **extensions}
    return content


TIMEOUT = body("Timeout", "TIMEOUT")
THROTTLED = body("Throttled", "THROTTLED", documentation=RATE_LIMITS)


def max_cost_exceeded(cost: int, limit: int) -> dict[str, Any]:
    """The answer to a query that costs more than any query may."""
    return body(
        f"Query cost is {cost}, which exceeds the single query max cost limit ({limit}).\n\n"
        "See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\n"
        "cost of a query is calculated.\n\n"
        "To query larger amounts of data with fewer limits, bulk operations should be used instead.\n"
        "See https://shopify.dev/tutorials/perform-bulk-operations-with-admin-api for usage details.\n",
        "MAX_COST_EXCEEDED",
        cost=cost,
        maxCost=limit,
        documentation=RATE_LIMITS,
    )


def no_such_root(kind: str) -> dict[str, Any]:
    """The answer to an operation of a kind that the API does not have: a subscription."""
    return body(f"Schema is not configured for {kind}s", f"missing{kind.title()}Configuration")


def internal_error(request_id: str) -> dict[str, Any]:
    """What Shopify says when something broke on its side."""
    return body(
        "Internal error. Looks like something went wrong on our end.\n"
        f"Request ID: {request_id} (include this in support requests).",
        "INTERNAL_SERVER_ERROR",
        requestId=request_id,
    )
