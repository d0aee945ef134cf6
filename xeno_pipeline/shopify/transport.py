"""HTTP as every call to a store uses it: no redirect is followed unseen, no proxy stands before this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import requests

REDIRECT_STATUSES = (301, 302, 307, 308)
"""The statuses with which a renamed store redirects."""


class NoRedirectSession(requests.Session):
    """A session that never follows a redirect. The caller reads the `Location` header and decides."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, whatever the response says: even with `allow_redirects=False`, requests parses the target."""


def open_session(url: str) -> NoRedirectSession:
    """A session for the host of a URL. Proxies from the environment apply, except for this machine itself."""
    session = NoRedirectSession()
    session.trust_env = not is_loopback(url)
    return session


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
