"""The process of `xeno insights serve`: the API, the dashboard, and how it is."""

from __future__ import annotations

import psycopg
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from xeno_pipeline.access.serving import ServingPool, open_serving_pool
from xeno_pipeline.api.app import PATH, build_api
from xeno_pipeline.api.problems import Kind, ProblemError
from xeno_pipeline.api.telemetry import Metrics, Observed
from xeno_pipeline.dashboard.app import build_dashboard
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings
from xeno_pipeline.web.listener import listen
from xeno_pipeline.web.metrics import serve_metrics


def build_app(pool: ServingPool, settings: Settings, own_metrics: Metrics | None = None) -> ASGIApp:
    """Everything that the process serves.

    Args:
        own_metrics: what it counts by, where a port of their own shows them; else /metrics does.
    """
    metrics = own_metrics or Metrics()

    def healthz(_request: Request) -> Response:
        """Whether this process is alive."""
        return PlainTextResponse("ok")

    async def readyz(_request: Request) -> Response:
        """Whether requests can be answered: the database is available, and knows the login."""
        try:
            await run_in_threadpool(pool.check)
        except (XenoError, psycopg.Error):
            return PlainTextResponse("The database is not available.", 503)
        return PlainTextResponse("ok")

    def show_metrics(_request: Request) -> Response:
        """The metrics, for Prometheus."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *([Route("/metrics", show_metrics)] if own_metrics is None else []),
            Mount(PATH, build_api(pool, settings)),
            Mount("", build_dashboard(pool, settings)),
        ]
    )
    app.router.redirect_slashes = False
    unmounted = app.router.default

    async def find_nothing(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer where no mount matches: a path with a line feed matches none."""
        if scope["type"] == "http" and scope["path"].startswith(f"{PATH}/"):
            await ProblemError(Kind.NOT_FOUND, "There is nothing at this path.").response()(scope, receive, send)
        else:
            await unmounted(scope, receive, send)

    app.router.default = find_nothing
    return Observed(app, metrics)


def serve(settings: Settings, host: str, port: int, metrics_port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        port: 0 takes a free one, which is in the first line of the log.
        metrics_port: where /metrics is, instead of at `port`.

    Raises:
        XenoError: the database cannot be reached or was not prepared.
        PortTakenError: the port is in use, or not permitted.
    """
    pool, metrics = open_serving_pool(settings), Metrics()
    try:
        app = build_app(pool, settings, None if metrics_port is None else metrics)
        with serve_metrics(metrics.registry, host, metrics_port):
            listen(app, host, port, name="The insights server", setting="XENO_INSIGHTS_PORT")
    finally:
        pool.close()
