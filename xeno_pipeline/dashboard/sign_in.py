"""Signing in by a link, signing out, and choosing a language."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from xeno_pipeline.access.serving import NoAccessError, ServingPool
from xeno_pipeline.dashboard.cookies import Cookies
from xeno_pipeline.dashboard.security import safe_next
from xeno_pipeline.dashboard.templating import respond
from xeno_pipeline.dashboard.texts import languages
from xeno_pipeline.dashboard.visits import Reader, read_form


class SignIn:
    """The endpoints.

    Opening a link shows a button, and the button signs in: programs that open the links of a mail to look at them
    would use it up otherwise.
    """

    def __init__(self, pool: ServingPool, cookies: Cookies) -> None:
        self._pool = pool
        self._cookies = cookies

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/sign-in", self.explain),
            Route("/sign-in/{link}", self.confirm),
            Route("/sign-in/{link}", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
        ]

    async def explain(self, request: Request) -> Response:
        """The page of whoever is not signed in."""
        return self._page(request, link=None)

    async def confirm(self, request: Request) -> Response:
        """The page that a link opens."""
        return self._page(request, link=request.path_params["link"])

    async def sign_in(self, request: Request) -> Response:
        """Open a session."""
        form = await read_form(Reader(request, self._cookies))
        try:
            session = await run_in_threadpool(self._pool.sign_in, request.path_params["link"])
        except NoAccessError:
            return self._page(request, link=None, is_refused=True, status=403)
        response = RedirectResponse(safe_next(form.get("next")), 303)
        self._cookies.start(response, session.secret, session.ends_at)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await read_form(Reader(request, self._cookies))
        await run_in_threadpool(self._pool.sign_out, self._cookies.session_of(request))
        response = RedirectResponse("/sign-in", 303)
        response.headers["Clear-Site-Data"] = '"cache"'  # pages that the browser keeps to go back to
        self._cookies.end(response)
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember a language, and go back."""
        form = await read_form(Reader(request, self._cookies))
        response = RedirectResponse(safe_next(form.get("next")), 303)
        if form.get("language") in languages():
            self._cookies.choose_language(response, form["language"])
        return response

    def _page(self, request: Request, *, link: str | None, is_refused: bool = False, status: int = 200) -> Response:
        reader = Reader(request, self._cookies)
        response = respond(
            "sign_in.html",
            reader.language,
            status,
            link=link,
            is_refused=is_refused,
            next=safe_next(request.query_params.get("next")),
            here=request.url.path,
            token=reader.form_token(),
            languages=languages(),
        )
        self._cookies.keep_browser(request, response)
        return response
