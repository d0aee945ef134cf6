"""A dashboard in this process, and visitors who are signed in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

from httpx import Response
from starlette.testclient import TestClient

from tests.support.serving import serving_pool
from xeno_pipeline.access.grants import invite
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.dashboard.app import build_dashboard
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings

_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


@dataclass(frozen=True)
class Visitor:
    """A browser without a window; it keeps cookies, and follows redirects only when it is told to."""

    client: TestClient

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, **parameters: Any) -> Response:
        """Open a page."""
        return self.client.get(path, params=parameters or None, headers=headers, follow_redirects=False)

    def read(self, path: str, **parameters: Any) -> str:
        """The text of a page that must be there, with entities resolved."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text[:500]}"
        return unescape(response.text)

    def post(self, path: str, page: str, headers: Mapping[str, str] | None = None, **fields: str) -> Response:
        """Send a form, with the token of a page where it is."""
        found = _TOKEN.search(self.get(page).text)
        assert found is not None, f"{page} has no form"
        data = {"token": found[1], **fields}
        return self.client.post(path, data=data, headers=headers, follow_redirects=False)


class Dashboard:
    """The pages over a database.

    Args:
        database: as its owner sees it.
        app: the pages.
    """

    def __init__(self, database: Database, app: Any) -> None:
        self.database = database
        self._app = app

    def somebody(self, **headers: str) -> Visitor:
        """A visitor who is not signed in."""
        return Visitor(TestClient(self._app, raise_server_exceptions=False, headers=headers))

    def link_for(self, role: Role, *stores: str, email: str = "ada@example.com") -> str:
        """The path of a sign-in link."""
        with self.database.connect() as connection:
            return f"/sign-in/{invite(connection, email, stores or None, role).secret}"

    def sign_in(self, role: Role, *stores: str, email: str | None = None, **headers: str) -> Visitor:
        """A visitor with a role in some stores, or in all."""
        visitor = self.somebody(**headers)
        link = self.link_for(role, *stores, email=email or f"{role}{len(stores)}@example.com")
        assert visitor.post(link, link).status_code == 303
        return visitor


@contextmanager
def dashboard_over(database: Database, **settings: Any) -> Iterator[Dashboard]:
    """A dashboard over a database, for the length of a `with`."""
    with serving_pool(database) as pool:
        yield Dashboard(database, build_dashboard(pool, Settings(**settings)))
