"""One request: whose it is, which store it is about, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response
from starlette.types import Scope

from xeno_pipeline.access.secret import is_secret, secret_hash
from xeno_pipeline.access.serving import Access, NoAccessError, ServingPool
from xeno_pipeline.api.answer_cache import AnswerCache
from xeno_pipeline.api.answers import Answer, ListAnswer
from xeno_pipeline.api.etags import State, address_of, is_known, state_of
from xeno_pipeline.api.event_streams import EventStreams
from xeno_pipeline.api.problems import Kind, ProblemError
from xeno_pipeline.api.rate_limits import RateLimits
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.paging import Page

Data = TypeVar("Data")

KEPT_BY_CALLER = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
"""Headers of an answer that only the caller may keep, and only to ask whether it still holds."""

_JSON = "application/json"


def json_response(body: bytes, counted: Mapping[str, str], **headers: str) -> Response:
    """An answer in JSON.

    Args:
        counted: the headers that say how many requests the caller has left.
    """
    return Response(body, headers={**KEPT_BY_CALLER, **counted, **headers}, media_type=_JSON)


@dataclass(frozen=True)
class Backend:
    """What all requests are answered with."""

    pool: ServingPool
    rate_limits: RateLimits
    cache: AnswerCache = field(default_factory=AnswerCache)
    streams: EventStreams = field(default_factory=EventStreams)

    def count(self, scope: Scope, secret: str) -> Mapping[str, str]:
        """Count a request of a key, once however often this is called for it; see `RateLimits.count`."""
        state = scope["state"]
        if "rate_limit" not in state:
            state["rate_limit"] = self.rate_limits.count(secret_hash(secret).hex())
        counted: Mapping[str, str] = state["rate_limit"]
        return counted


@dataclass(frozen=True)
class Caller:
    """Who asks, before the database has said whether that is somebody."""

    backend: Backend
    request: Request
    secret: str = field(repr=False)
    headers: Mapping[str, str]

    @contextmanager
    def unlocked(self, *, writes: bool = False) -> Iterator[tuple[Connection, Access]]:
        """A transaction that sees what the caller may see.

        Raises:
            ProblemError: the key is none that works.
        """
        try:
            with self.backend.pool.unlocked(self.secret, writes=writes) as (connection, access):
                self.request.state.subject = access.subject_id
                yield connection, access
        except NoAccessError:
            raise _no_key("The key is unknown, was revoked, or has expired.") from None

    def json(self, body: bytes, **headers: str) -> Response:
        """An answer for the caller."""
        return json_response(body, self.headers, **headers)


@dataclass(frozen=True)
class StoreRequest:
    """A request about a store."""

    caller: Caller
    store: str

    @contextmanager
    def unlocked(self, *needed: str, writes: bool = False) -> Iterator[tuple[Connection, frozenset[str]]]:
        """A transaction that sees the store, and the scopes that the caller has in it.

        Args:
            needed: scopes without which the request is refused.

        Raises:
            ProblemError: the caller sees no such store, or has not the scopes.
        """
        with self.caller.unlocked(writes=writes) as (connection, access):
            scopes = access.stores.get(self.store, frozenset())
            if "read" not in scopes:
                raise ProblemError(
                    Kind.NOT_FOUND,
                    "The key sees no store of this handle.",
                    "GET /api/v1/stores lists those that it sees.",
                )
            for scope in needed:
                if scope not in scopes:
                    raise ProblemError(
                        Kind.NOT_ALLOWED,
                        f"The key has not the scope `{scope}` in {self.store}.",
                        f"Use a key with the scope `{scope}`: `xeno insights key NAME {self.store} --scope {scope}`.",
                    )
            yield connection, scopes

    def answer(
        self, make: Callable[[Connection], Data | None], *needed: str, is_cached: bool = False, has_etag: bool = True
    ) -> Response:
        """The answer that a function makes of the marts, or 304 where the caller has it.

        Args:
            make: takes a connection; None says that there is no such thing.
            needed: scopes without which the request is refused.
            is_cached: whether answers are kept in memory. Nothing personal may be: a redaction has effect at once.
            has_etag: whether the answer depends on nothing but the marts.
        """
        asked = (self.store, self._address)
        with self.unlocked(*needed) as (connection, scopes):
            state = state_of(connection, self.store)
            etag = state.etag(self.store, scopes, self._address)
            if has_etag and is_known(etag, self.caller.request.headers.get("if-none-match")):
                return Response(status_code=304, headers={**self.caller.headers, "ETag": etag})
            kept = self.caller.backend.cache.find(asked, etag) if is_cached else None
            if kept is not None:
                return self.caller.json(kept, ETag=etag)
            if not is_cached:
                made = self._made(connection, make)
                headers = {"ETag": etag} if has_etag else {}
                if isinstance(made, Page) and made.next:
                    headers["Link"] = self._link_to(made.next)
                return self.caller.json(self._body(connection, state, made), **headers)

        def make_fresh() -> bytes:
            with self.unlocked(*needed) as (connection, _):
                return self._body(connection, state, self._made(connection, make))

        return self.caller.json(self.caller.backend.cache.make(asked, etag, make_fresh), ETag=etag)

    def answer_change(
        self,
        change: Callable[[Connection], Data],
        *needed: str,
        status: int = 200,
        location: Callable[[Data], str] | None = None,
    ) -> Response:
        """The answer of a function that changes something; what it has written is committed before.

        Args:
            change: takes a connection that may write.
            needed: scopes without which the request is refused.
            status: of the answer.
            location: where what was made is, below the store.
        """
        with self.unlocked(*needed, writes=True) as (connection, _):
            changed = change(connection)
            body = self._body(connection, state_of(connection, self.store), changed)
        headers = {"Location": f"/api/v1/stores/{self.store}{location(changed)}"} if location else {}
        answer = self.caller.json(body, **headers)
        answer.status_code = status
        return answer

    def _made(self, connection: Connection, make: Callable[[Connection], Data | None]) -> Data:
        made = make(connection)
        if made is None:
            raise ProblemError(Kind.NOT_FOUND, f"{self.store} has nothing of this id.", "Lists have the ids there are.")
        return made

    def _body(self, connection: Connection, state: State, made: Any) -> bytes:
        """The JSON of an answer, in its envelope."""
        row = connection.execute("select currency from dim_tenants where tenant_id = %s", [self.store]).fetchone()
        around = {"store": self.store, "currency": row[0] if row else None, "made_at": state.made_at}
        if isinstance(made, Page):
            return ListAnswer[Any](**around, data=made.data, next=made.next).model_dump_json().encode()
        return Answer[Any](**around, data=made).model_dump_json().encode()

    @property
    def _address(self) -> str:
        return address_of(self.caller.request.scope)

    def _link_to(self, cursor: str) -> str:
        """The header Link to the next page; relative, for whoever asks knows by what name."""
        url = self.caller.request.url.include_query_params(cursor=cursor)
        return f'<{url.path}?{url.query}>; rel="next"'


_BEARER = HTTPBearer(auto_error=False, description="A key of `xeno insights key`.")


async def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Caller:
    """Who makes a request, by the header Authorization.

    Raises:
        ProblemError: it has no key, or its key has made too many requests.
    """
    _check_parameters(request)
    backend: Backend = request.app.state.backend
    if credentials is None:
        raise _no_key("The request has no key.")
    secret = credentials.credentials
    if not is_secret(secret):
        raise _no_key("The key is mistyped.")
    return Caller(backend, request, secret, backend.count(request.scope, secret))


async def address_store(
    caller: Annotated[Caller, Depends(authenticate)], store: Annotated[str, Path(description="The store's handle.")]
) -> StoreRequest:
    """A request about the store that its path names."""
    return StoreRequest(caller, store)


def _check_parameters(request: Request) -> None:
    """Refuse parameters that are not known, or given twice: their author means something else than would happen."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    errors = []
    for name in dict.fromkeys(key for key, _ in request.query_params.multi_items()):
        if name not in known:
            named = ", ".join(sorted(known)) or "none"
            errors.append(f"{name[:60]!r} is no parameter of this operation; there are: {named}")
        elif len(request.query_params.getlist(name)) > 1:
            errors.append(f"{name!r} is given more than once")
    if errors:
        raise ProblemError(Kind.UNUSABLE, "The request has parameters that cannot be used.", errors=errors)


def _no_key(detail: str) -> ProblemError:
    return ProblemError(Kind.NO_KEY, detail)


CallerOf = Annotated[Caller, Depends(authenticate)]
StoreRequestOf = Annotated[StoreRequest, Depends(address_store)]
