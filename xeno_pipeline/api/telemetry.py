"""What is logged and counted of each request: its route and its outcome, never its query, its key or a person."""

from __future__ import annotations

import logging
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xeno_pipeline.api.problems import Kind, ProblemError

log = logging.getLogger(__name__)

_UNKNOWN_ROUTE = "(none)"
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}

_MAX_BODY_BYTES = 1 << 20
_TOO_LARGE = f"A request may have at most {_MAX_BODY_BYTES:,} bytes."


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "xeno_insights_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "xeno_insights_seconds",
            "Seconds from a request to the end of its answer.",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class Observed:
    """An application whose requests are logged and counted; an unexpected error is answered by a problem."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, request_id = time.perf_counter(), 0, uuid.uuid4().hex
        scope.setdefault("state", {})

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > _MAX_BODY_BYTES:
                raise ProblemError(Kind.TOO_LARGE, _TOO_LARGE)
            return message

        try:
            declared = Headers(scope=scope).get("content-length", "")
            if declared.isascii() and declared.isdecimal() and int(declared[:20]) > _MAX_BODY_BYTES:
                await ProblemError(Kind.TOO_LARGE, _TOO_LARGE).response()(scope, receive, send_observed)
            else:
                await self._app(scope, receive_bounded, send_observed)
        except Exception:
            log.exception("a request failed", extra={"request_id": request_id, "route": _route_of(scope)})
            if status == 0:
                detail = f"The request {request_id} failed for a reason that is ours."
                await ProblemError(Kind.DEFECT, detail).response()(scope, receive, send_observed)
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route, method = _route_of(scope), scope["method"] if scope["method"] in _METHODS else "(other)"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(1000 * seconds, 1)}
        fields |= {"request_id": request_id, "subject": scope["state"].get("subject")}
        log.info("request", extra=fields)


def _route_of(scope: Scope) -> str:
    """The path of the route as it was declared, so that no id and nothing that somebody typed is in it."""
    route = scope.get("route")
    return getattr(route, "path", None) or _UNKNOWN_ROUTE
