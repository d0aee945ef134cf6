"""One request of somebody who is signed in: the connection that their session unlocks, and how they read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from babel import Locale
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from xeno_pipeline.access.serving import Access, NoAccessError, ServingPool
from xeno_pipeline.dashboard.cookies import LANGUAGE_COOKIE, Cookies
from xeno_pipeline.dashboard.formats import Formats, formats_for
from xeno_pipeline.dashboard.ranges import Range, read_range
from xeno_pipeline.dashboard.security import form_token, is_form_token, is_from_elsewhere
from xeno_pipeline.dashboard.templating import render, respond
from xeno_pipeline.dashboard.texts import choose_locale, languages, translations
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.insights.periods import FIRST_DAY
from xeno_pipeline.insights.stores import NotModelledError, Store, get_store, list_stores, today_of

MAX_FORM_BYTES = 64 << 10
_MAX_FIELDS = 100


class NotFoundError(UsageError):
    """There is no such page, or not for this person: the two look alike."""


class ForbiddenError(UsageError):
    """A form was not sent from a page of ours, or its sender has no such right."""


@dataclass(frozen=True)
class Reader:
    """A request, and the language of whoever sent it."""

    request: Request
    cookies: Cookies

    @cached_property
    def locale(self) -> Locale:
        """What they read."""
        headers, cookies = self.request.headers, self.request.cookies
        return choose_locale(cookies.get(LANGUAGE_COOKIE), headers.get("accept-language", ""))

    @property
    def language(self) -> str:
        """The language of the texts."""
        return str(self.locale.language)

    @property
    def is_fragment(self) -> bool:
        """Whether a part of a page is asked for, by a page."""
        return self.request.headers.get("hx-request") == "true"

    def text(self, message: str) -> str:
        """A text in their language."""
        return translations(self.language).gettext(message)

    def form_token(self) -> str:
        """The token of a form for this browser."""
        return form_token(self.cookies.of_browser(self.request))

    def message(self, title: str, message: str, status: int) -> HTMLResponse:
        """A page, or a part of one, that says why there is no other."""
        template = "message_fragment.html" if self.is_fragment else "message.html"
        return respond(template, self.language, status, title=title, message=message, languages=languages())


@dataclass(frozen=True)
class Visit(Reader):
    """A request of somebody who is signed in.

    Args:
        connection: in a transaction that sees what their session unlocks.
        access: who they are, and what they may do where.
        unlock: begins another such transaction.
        form: the fields of a form that was sent; empty for pages.
    """

    connection: Connection
    access: Access
    unlock: Callable[[], AbstractContextManager[tuple[Connection, Access]]]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> Mapping[str, str]:
        """What the address asks for."""
        return self.request.query_params

    def table_to_download(self) -> str | None:
        """The name of the table that is asked for as a file, empty for that which the page is about; None without."""
        return self.query.get("table", "") if self.query.get("format") == "csv" else None

    def respond(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        return respond(template, self.language, status, **self._shared(), **values)

    def render(self, template: str, **values: Any) -> str:
        """A part of a page."""
        return render(template, self.language, **self._shared(), **values)

    def _shared(self) -> dict[str, Any]:
        return {"visit": self, "request": self.request, "languages": languages(), "url": self.url_with}

    def url_with(self, **changes: Any) -> str:
        """The address of the page with other parameters; those that are None are left out."""
        kept = {**self.query, **changes}
        query = urlencode({name: value for name, value in kept.items() if value is not None})
        return f"{quote(self.request.url.path)}{'?' if query else ''}{query}"


@dataclass(frozen=True)
class StoreVisit(Visit):
    """A request for a page of a store.

    Args:
        store: the store, which they may read.
    """

    store: Store = field(kw_only=True)

    @cached_property
    def stores(self) -> list[Store]:
        """All stores that they may read; parts of pages do without."""
        return list_stores(self.connection, sorted(self.access.stores))

    @cached_property
    def formats(self) -> Formats:
        """How values are written in this store."""
        return formats_for(self.locale, self.store.currency, self.store.iana_timezone)

    @cached_property
    def days(self) -> Range:
        """The days that the page is asked about."""
        today = today_of(self.connection, self.tenant_id)
        first = self.store.first_order_on
        return read_range(self.query, today, max(first, FIRST_DAY) if first and first <= today else None)

    @property
    def tenant_id(self) -> str:
        """The store's handle."""
        return self.store.store

    @contextmanager
    def again(self) -> Iterator[StoreVisit]:
        """The same visit in a transaction of its own, for what is read once this one's has ended.

        Raises:
            NoAccessError: the session has ended since.
            NotFoundError: the store is not theirs any more.
        """
        with self.unlock() as (connection, access):
            if not access.may("read", self.tenant_id):
                raise NotFoundError(self.text("There is no such page."))
            yield replace(self, connection=connection, access=access)

    def may(self, scope: str) -> bool:
        """Whether they have a scope in this store."""
        return self.access.may(scope, self.tenant_id)

    def path(self, *parts: object, **query: Any) -> str:
        """The address of a page of this store."""
        path = "/".join(quote(str(part), safe="") for part in ("", "stores", self.tenant_id, *parts))
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path}{'?' if asked else ''}{asked}"

    def _shared(self) -> dict[str, Any]:
        return {**super()._shared(), "formats": self.formats, "store": self.store, "path": self.path}


Endpoint = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """Makes endpoints of handlers: each in a thread, in a transaction that its visitor's session unlocks.

    Args:
        pool: of the login that a session unlocks.
        cookies: how sessions are kept.
    """

    def __init__(self, pool: ServingPool, cookies: Cookies) -> None:
        self._pool = pool
        self._cookies = cookies

    def page(self, handler: Callable[[Visit], Response]) -> Endpoint:
        """A page of no store."""

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(self._run, request, {}, handler)

        return endpoint

    def store_page(self, handler: Callable[[StoreVisit], Response]) -> Endpoint:
        """A page of the store in the path."""
        return self.page(lambda visit: _in_store(visit, handler))

    def form(self, handler: Callable[[StoreVisit], Response], scope: str) -> Endpoint:
        """What a form of a store's pages is sent to, by somebody with a scope."""

        def check_scope(visit: StoreVisit) -> Response:
            if not visit.may(scope):
                raise ForbiddenError(visit.text("Your role does not allow this."))
            return handler(visit)

        async def endpoint(request: Request) -> Response:
            form = await read_form(Reader(request, self._cookies))
            return await run_in_threadpool(
                self._run, request, form, lambda visit: _in_store(visit, check_scope), writes=True
            )

        return endpoint

    def _run(
        self, request: Request, form: Mapping[str, str], handler: Callable[[Visit], Response], *, writes: bool = False
    ) -> Response:
        unlock = partial(self._pool.unlocked, self._cookies.session_of(request))
        try:
            with unlock(writes=writes) as (connection, access):
                return handler(Visit(request, self._cookies, connection, access, unlock, form))
        except NoAccessError:
            return self._sign_in_first(request)

    def _sign_in_first(self, request: Request) -> Response:
        asked = f"{request.url.path}{'?' if request.url.query else ''}{request.url.query}"
        is_fragment = request.headers.get("hx-request") == "true"
        target = "/sign-in" if is_fragment or request.method != "GET" else f"/sign-in?{urlencode({'next': asked})}"
        if is_fragment:
            return Response(status_code=401, headers={"HX-Redirect": target})
        return RedirectResponse(target, 303)


def _in_store(visit: Visit, handler: Callable[[StoreVisit], Response]) -> Response:
    handle = visit.request.path_params["store"]
    if not visit.access.may("read", handle):
        raise NotFoundError(visit.text("There is no such page."))
    store = get_store(visit.connection, handle)
    known = (visit.request, visit.cookies, visit.connection, visit.access, visit.unlock, visit.form)
    store_visit = StoreVisit(*known, store=store)
    try:
        return handler(store_visit)
    except NotModelledError:
        template = "not_yet_fragment.html" if visit.is_fragment else "not_yet.html"
        return store_visit.respond(template)


async def read_form(reader: Reader) -> dict[str, str]:
    """The fields of a form that a page of ours sent.

    Raises:
        ForbiddenError: another site sent it, or its token is not of this browser.
        UsageError: it is too large, or no form.
    """
    request = reader.request
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise UsageError(reader.text("The form is too large."))
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
    except ValueError:
        raise UsageError(reader.text("The form cannot be read.")) from None
    token = fields.pop("token", "")
    if is_from_elsewhere(request) or not is_form_token(token, reader.cookies.of_browser(request)):
        raise ForbiddenError(reader.text("The page was open for too long, or was not ours: open it again."))
    return fields
