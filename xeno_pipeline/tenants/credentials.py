"""Access tokens at rest: AES-256-GCM, each bound to its tenant, under keys that can be rotated."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock

from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.settings import Settings
from xeno_pipeline.warehouse.connection import Connection

_KEY_BYTES = 32
_NONCE_BYTES = 12


class CredentialError(XenoError):
    """A token cannot be read: it is missing, or its key is."""


@dataclass(frozen=True)
class KeyRing:
    """The encryption keys by their ids; the first one seals, all of them open."""

    keys: Mapping[str, bytes] = field(repr=False)

    def seal(self, tenant_id: str, token: str) -> tuple[str, bytes]:
        """Encrypt a token for its tenant.

        Returns:
            The id of the key, and nonce and ciphertext together.
        """
        key_id, key = next(iter(self.keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return key_id, nonce + AESGCM(key).encrypt(nonce, token.encode(), _binding(tenant_id))

    def open(self, tenant_id: str, key_id: str, sealed: bytes) -> str:
        """Decrypt a tenant's token.

        Raises:
            CredentialError: the key is unknown, or the token was sealed for another tenant or altered.
        """
        if key_id not in self.keys:
            raise CredentialError(
                f"{tenant_id}: its token is encrypted under key {key_id!r}, which is not among the keys: "
                "add it to XENO_ENCRYPTION_KEYS."
            )
        try:
            opened = AESGCM(self.keys[key_id]).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _binding(tenant_id)
            )
        except InvalidTag:
            raise CredentialError(
                f"{tenant_id}: its token cannot be decrypted (another key of the same id, or altered data): "
                f"give it anew with `xeno tenant set-token {tenant_id}`."
            ) from None
        return opened.decode()


def load_key_ring(settings: Settings) -> KeyRing:
    """The keys from XENO_ENCRYPTION_KEYS, else from a file in XENO_HOME, which is made the first time.

    Raises:
        UsageError: the keys are not `id:base64` pairs of 32 bytes.
    """
    if settings.encryption_keys is not None:
        return KeyRing(_parse(settings.encryption_keys.get_secret_value().split(","), "XENO_ENCRYPTION_KEYS"))
    path = _key_file(settings)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _write_keys(path, [_new_key()])
    return KeyRing(_parse(path.read_text().split(), str(path)))


def rotate(settings: Settings, connection: Connection) -> tuple[str, int]:
    """Seal every token under a new key (of the key file), or under the first of XENO_ENCRYPTION_KEYS.

    Returns:
        The id of the key that seals now, and the number of tokens sealed anew.
    """
    ring = load_key_ring(settings)
    if settings.encryption_keys is None:
        path = _key_file(settings)
        with FileLock(path.with_suffix(".lock")):
            _write_keys(path, [_new_key(), *path.read_text().split()])
        ring = load_key_ring(settings)
    current = next(iter(ring.keys))
    stale = connection.execute(
        "select tenant_id, key_id, sealed_token from ops.tenant_credentials where key_id <> %s for update",
        [current],
    ).fetchall()
    for tenant_id, key_id, sealed in stale:
        store_token(connection, ring, tenant_id, ring.open(tenant_id, key_id, sealed))
    return current, len(stale)


def store_token(connection: Connection, ring: KeyRing, tenant_id: str, token: str) -> None:
    """Keep a tenant's access token, in place of the one before."""
    key_id, sealed = ring.seal(tenant_id, token)
    connection.execute(
        """
        insert into ops.tenant_credentials (tenant_id, key_id, sealed_token) values (%s, %s, %s)
        on conflict (tenant_id) do update
        set key_id = excluded.key_id, sealed_token = excluded.sealed_token, updated_at = now()
        """,
        [tenant_id, key_id, sealed],
    )


def load_token(connection: Connection, ring: KeyRing, tenant_id: str) -> str:
    """A tenant's access token.

    Raises:
        CredentialError: there is none, or it cannot be decrypted.
    """
    row = connection.execute(
        "select key_id, sealed_token from ops.tenant_credentials where tenant_id = %s", [tenant_id]
    ).fetchone()
    if row is None:
        raise CredentialError(f"{tenant_id}: no token is stored; give one with `xeno tenant set-token {tenant_id}`.")
    return ring.open(tenant_id, row[0], row[1])


def _binding(tenant_id: str) -> bytes:
    """What ties a sealed token to its tenant: copied into another tenant's row, it does not open."""
    return f"xeno-pipeline/tenant-token/{tenant_id}".encode()


def _key_file(settings: Settings) -> Path:
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings.home / "encryption.keys"


def _new_key() -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return f"k{stamp}-{secrets.token_hex(2)}:{key}"


def _write_keys(path: Path, pairs: list[str]) -> None:
    """Replace the key file as a whole: half a key file would lose every token."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(pairs) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _parse(pairs: list[str], source: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for pair in pairs:
        key_id, _, encoded = pair.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not key_id or len(key) != _KEY_BYTES or key_id in keys:
            raise UsageError(f"{source} must hold `id:base64` pairs of {_KEY_BYTES} random bytes each, every id once.")
        keys[key_id] = key
    if not keys:
        raise UsageError(f"{source} holds no key; restore it from a backup, or remove it and give every token anew.")
    return keys
