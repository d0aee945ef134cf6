"""The key of an archive: made for it, shown once, and handed on apart from it.

It seals the tenant's secrets, as an installation's keys do in its database, and the manifest. So whoever has the file
alone has no token, and whoever changes the file is found out.
"""

from __future__ import annotations

import base64
import secrets

from xeno_pipeline.errors import UsageError
from xeno_pipeline.tenants.credentials import KeyRing

_PREFIX = "xeno_move_"
_KEY_BYTES = 32
_ID = "archive"


def make_key() -> str:
    """A new key, as text."""
    return _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode().rstrip("=")


def ring_of(key: str) -> KeyRing:
    """The key ring that seals and opens what is in the archive.

    Raises:
        UsageError: the text is no key of an archive.
    """
    encoded = key.strip().removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if not key.strip().startswith(_PREFIX) or len(raw) != _KEY_BYTES:
        raise UsageError(f"That is no key of an archive: `xeno tenant export` prints one, which begins {_PREFIX}.")
    return KeyRing({_ID: raw})
