"""The sandbox server: many stores on one port."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shopify_sandbox.api import AdminApi, BadRequestError, asked_for, operation_name
from shopify_sandbox.bulk import downloads
from shopify_sandbox.bulk.operations import RESULTS_PATH
from shopify_sandbox.controls.routes import ControlRoutes
from shopify_sandbox.oauth import OAuthError
from shopify_sandbox.search.selection import UnsupportedError
from shopify_sandbox.spec import StoreSpec, demo_specs
from shopify_sandbox.stores import Stores

__all__ = ["StoreSpec", "create_app", "demo_specs", "serve"]

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
_STATUS_ERRORS = {
    402: "Unavailable Shop",
    403: "[API] This action requires merchant approval.",
    404: "Not Found",
    423: "[API] This shop is locked.",
    429: "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
TOKEN_HEADER = "X-Shopify-Access-Token"  # noqa: S105
_GRANTS = {"refresh_token": "RefreshToken", "client_credentials": "ClientCredentials"}
"""What a fault calls the request for a token."""


def answered_version(asked: str) -> str | None:
    """The API version that answers: retired ones fall forward to the oldest supported, unknown ones do not exist."""
    if asked in VERSIONS:
        return asked
    year, _, month = asked.partition("-")
    is_version = year.isdecimal() and len(year) == 4 and month in ("01", "04", "07", "10")
    return VERSIONS[0] if is_version and asked < VERSIONS[0] else None


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


class Sandbox:
    """The stores of one server, and its HTTP endpoints."""

    def __init__(
        self, specs: Sequence[StoreSpec], state_dir: Path, base_url: str, monotonic: Callable[[], float]
    ) -> None:
        self.stores = Stores(specs, state_dir, base_url, monotonic)

    async def index(self, _request: Request) -> Response:
        """The stores there are."""
        return json_response(self.stores.listing())

    async def health(self, _request: Request) -> Response:
        """Whether the server serves."""
        return json_response({"status": "ok"})

    async def graphql(self, request: Request) -> Response:
        """The Admin GraphQL API of a store."""
        api = self.stores.get(request.path_params["handle"])
        version = answered_version(request.path_params["version"])
        if api is None or version is None:
            return json_response({"errors": "Not Found"}, 404)
        if (elsewhere := _elsewhere(request, api)) is not None:
            return elsewhere
        api.stats.requests += 1
        if api.latency:
            await asyncio.sleep(api.latency)
        response = await self._graphql(request, api)
        api.stats.statuses[response.status_code] += 1
        response.headers["X-Shopify-API-Version"] = version
        return response

    async def _graphql(self, request: Request, api: AdminApi) -> Response:
        if not await run_in_threadpool(api.admits, request.headers.get(TOKEN_HEADER)):
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return json_response({"errors": message}, 401)
        try:
            body = orjson.loads(await request.body())
            fault = api.faults.take_for_request(operation_name(body), asked_for(body))
            if fault is not None and fault["kind"] in ("status", "reset", "hang"):
                if fault.get("executed"):
                    await run_in_threadpool(api.answer, body)
                return await _broken(fault)
            return json_response(await run_in_threadpool(api.answer, body, fault))
        except (orjson.JSONDecodeError, BadRequestError) as problem:
            return json_response({"errors": {"query": str(problem)}}, 400)
        except UnsupportedError as problem:
            return json_response({"errors": f"Not implemented by the sandbox: {problem}"}, 501)

    async def authorize(self, request: Request) -> Response:
        """Where a merchant is asked to let an app in; this one always decides at once."""
        api = self.stores.get(request.path_params["handle"])
        if api is None:
            return json_response({"errors": "Not Found"}, 404)
        try:
            url = await run_in_threadpool(api.authorize, dict(request.query_params))
        except OAuthError as refusal:
            return Response(f"Oauth error {refusal.error}: {refusal}", refusal.status)
        return Response(status_code=302, headers={"Location": url})

    async def access_token(self, request: Request) -> Response:
        """Where an app asks for tokens."""
        api = self.stores.get(request.path_params["handle"])
        if api is None:
            return json_response({"errors": "Not Found"}, 404)
        if (elsewhere := _elsewhere(request, api)) is not None:
            return elsewhere
        form = dict(parse_qsl((await request.body()).decode()))
        fault = api.faults.take_for_request(_GRANTS.get(form.get("grant_type", ""), "AuthorizationCode"))
        if fault is not None and not fault.get("executed"):
            return await _broken(fault)
        try:
            answer = await run_in_threadpool(api.grant, form)
        except OAuthError as refusal:
            return json_response({"error": refusal.error, "error_description": str(refusal)}, refusal.status)
        return json_response(answer) if fault is None else await _broken(fault)

    async def result(self, request: Request) -> Response:
        """A bulk operation's result. It is another host's in real life, so a token must never come here."""
        if TOKEN_HEADER in request.headers or "authorization" in request.headers:
            return Response("Access tokens must not be sent to the storage of bulk results.", 400)
        token = request.path_params["token"]
        for api in self.stores.opened():
            operation = api.bulk.operation_of(token)
            if operation is not None:
                api.stats.downloads += 1
                return downloads.download(request, api.bulk.result_path(operation), operation.take_download_fault())
        return Response("Not Found", 404)


def _elsewhere(request: Request, api: AdminApi) -> Response | None:
    """Where a store that was renamed sends who comes to its former address."""
    handle, now = request.path_params["handle"], api.handles[-1]
    if handle == now:
        return None
    location = f"https://{now}.myshopify.com{request.url.path.removeprefix(f'/{handle}')}"
    return Response(status_code=301, headers={"Location": location})


async def _broken(fault: dict[str, Any]) -> Response:
    """The answer of a server or a connection that fails."""
    if fault["kind"] == "hang":
        await asyncio.sleep(float(fault.get("seconds", 30)))
    if fault["kind"] != "status":
        return downloads.dropped()
    status = int(fault.get("status", 500))
    headers = {"Retry-After": str(fault.get("retry_after", "2.0"))} if status == 429 else {}
    return json_response({"errors": _STATUS_ERRORS.get(status, "Internal Server Error")}, status, headers)


def create_app(
    specs: Sequence[StoreSpec],
    state_dir: Path,
    base_url: str = "http://127.0.0.1:8700",
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The web application.

    Args:
        specs: The stores; their state is kept in folders of `state_dir` and survives a restart.
        state_dir: Where.
        base_url: The server's own address, for links to bulk results.
        monotonic: The clock of the API cost buckets, in seconds.
    """
    sandbox = Sandbox(specs, state_dir, base_url, monotonic)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(sandbox.stores.close)

    controls = ControlRoutes(sandbox.stores)
    app = Starlette(
        routes=[
            Route("/", sandbox.index),
            Route("/healthz", sandbox.health),
            Route(f"{RESULTS_PATH}/{{token}}.jsonl", sandbox.result),
            Route("/{handle}/sandbox/report", controls.report, methods=["GET"]),
            Route("/{handle}/sandbox/stats", controls.stats, methods=["GET"]),
            Route("/{handle}/sandbox/{action:path}", controls.post, methods=["POST"]),
            Route("/{handle}/admin/oauth/authorize", sandbox.authorize),
            Route("/{handle}/admin/oauth/access_token", sandbox.access_token, methods=["POST"]),
            Route("/{handle}/admin/api/{version}/graphql.json", sandbox.graphql, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def serve(
    specs: Sequence[StoreSpec],
    state_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8700,
    on_ready: Callable[[list[dict[str, Any]]], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        specs: The stores.
        state_dir: Where their state is kept.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        on_ready: Called with the list of stores once requests are answered.

    Raises:
        OSError: If the port is taken, or a file of orders cannot be read.
        ValueError: If a file of orders is none, or another server serves the same stores.
    """
    _raise_limit_of_files()
    with socket.create_server((host, port)) as listener, _only_server_of(state_dir):
        _run(listener, specs, state_dir, on_ready)


def _raise_limit_of_files() -> None:
    """As far as the system lets this process: each store keeps three files open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _only_server_of(state_dir: Path) -> Iterator[None]:
    """Two servers would each remember the half of what changed."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"Another sandbox serves the stores of {state_dir}: stop it first.") from None
        yield


def _run(
    listener: socket.socket,
    specs: Sequence[StoreSpec],
    state_dir: Path,
    on_ready: Callable[[list[dict[str, Any]]], None] | None,
) -> None:
    host, port = listener.getsockname()
    base_url = f"http://{host}:{port}"
    app = create_app(specs, state_dir, base_url)
    logging.getLogger("uvicorn.error").addFilter(_not_dropped)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if on_ready is not None and server.started:
            on_ready(app.state.sandbox.stores.listing())
        await serving

    asyncio.run(run())


def _not_dropped(record: logging.LogRecord) -> bool:
    """Connections dropped on purpose are no news."""
    return not (record.exc_info and isinstance(record.exc_info[1], downloads.ConnectionDropped))
