"""Secrets of keys, sessions and links: `xeno_`, 43 characters that say 32 random bytes in base 62, and a checksum.

The form is GitHub's (https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/):
one double-click selects all of it, scanners of secrets find it by its prefix, and a typo is refused without a query.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BYTES = 32
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 43, 6
"""As many digits in base 62 do 256 and 32 bits need."""

_FORM = re.compile(rf"xeno_[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}")


def make_secret() -> str:
    """A new secret."""
    text = _base62(int.from_bytes(secrets.token_bytes(_BYTES)), _RANDOM_LENGTH)
    return f"xeno_{text}{_checksum(text)}"


def is_secret(text: str) -> bool:
    """Whether it has the form of a secret and its checksum is right, so that it may be one."""
    if _FORM.fullmatch(text) is None:
        return False
    body = text.removeprefix("xeno_")
    return _checksum(body[:_RANDOM_LENGTH]) == body[_RANDOM_LENGTH:]


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret: SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
