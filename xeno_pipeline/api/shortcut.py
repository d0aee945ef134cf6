"""What needs no mart to be read: answers that have not changed, and those that are kept in memory.

A page that refreshes itself asks for the same again and again. Such a request costs one statement, which says whether
the key still works, what it may do in the store, and when the store's marts were made. Requests that wait for that
share a connection and a thread; none is answered by what was read before it came.
"""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from xeno_pipeline.access.secret import is_secret
from xeno_pipeline.access.serving import Glance, ServingPool
from xeno_pipeline.api.etags import State, address_of, is_known
from xeno_pipeline.api.problems import DATABASE_AWAY, ProblemError, unavailable
from xeno_pipeline.api.store_request import Backend, json_response

_STORES = "/stores/"


class Shortcut:
    """Answers at once what it can; the application answers everything else."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app, self.backend = app, backend
        self._glances = _Glances(backend.pool)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            answer = await self._answer(scope)
        except ProblemError as problem:
            answer = problem.response()
        except DATABASE_AWAY as error:
            answer = unavailable(error).response()
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not path.startswith(_STORES):
            return None
        headers, store, address = Headers(scope=scope), path.split("/")[2], address_of(scope)
        etags, asked = headers.get("if-none-match"), (store, address)
        if etags is not None and "*" in etags:  # whether there is such a thing at all is not known here
            return None
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not is_secret(secret) or not (etags or self.backend.cache.has(asked)):
            return None
        counted = self.backend.count(scope, secret)
        glance = await self._glances.of(secret, store)
        if glance is None or "read" not in glance.scopes:
            return None
        etag = State(glance.made_at, glance.segments_changed_at).etag(store, glance.scopes, address)
        if is_known(etag, etags):
            answer = Response(status_code=304, headers={**counted, "ETag": etag})
        else:
            kept = self.backend.cache.find(asked, etag)
            if kept is None:
                return None
            answer = json_response(kept, counted, ETag=etag)
        scope["state"]["subject"] = glance.subject_id
        return answer


class _Glances:
    """Glances for the requests that wait for one: those that come while some are read are read together next."""

    def __init__(self, pool: ServingPool) -> None:
        self._pool = pool
        self._waiting: list[tuple[tuple[str, str], asyncio.Future[Glance | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def of(self, secret: str, store: str) -> Glance | None:
        """What a secret may do in a store; None where it unlocks nothing."""
        future: asyncio.Future[Glance | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((secret, store), future))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await future

    async def _read(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                try:
                    found = await run_in_threadpool(self._pool.glances, [asked for asked, _ in waiting])
                except Exception as error:  # noqa: BLE001 - theirs who wait
                    for _, future in waiting:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for asked, future in waiting:
                    if not future.done():
                        future.set_result(found.get(asked))
        finally:
            self._reading = None
