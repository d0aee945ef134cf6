"""Tenants' secrets at rest: AES-256-GCM, each bound to its tenant and purpose, under keys that can be rotated."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.settings import Settings

_KEY_BYTES = 32
_NONCE_BYTES = 12


class CredentialError(XenoError):
    """A secret is missing, or cannot be decrypted."""


class Purpose(StrEnum):
    """What a secret is for; sealed for one purpose, it cannot be opened for another."""

    TOKEN = "token"  # noqa: S105 - names of secrets, not secrets
    REFRESH_TOKEN = "refresh token"  # noqa: S105
    APP_SECRET = "app secret"  # noqa: S105
    BI_PASSWORD = "BI password"  # noqa: S105
    ARCHIVE = "archive"


_REMEDIES = {
    Purpose.TOKEN: "set it again with `xeno tenant set-token {}`",
    Purpose.REFRESH_TOKEN: "connect the store again at the gateway's /auth/install?shop={}.myshopify.com",
    Purpose.APP_SECRET: "set it again with `xeno tenant set-app-secret {}`",
    Purpose.BI_PASSWORD: "set it again with `xeno tenant bi-role {}`",
    Purpose.ARCHIVE: "export it again with `xeno tenant export {}`",
}
_SEALED = {
    "tenant_credentials": {"sealed_token": Purpose.TOKEN, "sealed_refresh_token": Purpose.REFRESH_TOKEN},
    "tenant_apps": {"sealed_secret": Purpose.APP_SECRET},
}
"""The tables of ops and their columns that hold secrets; those of a row are sealed with one key."""


@dataclass(frozen=True)
class KeyRing:
    """The encryption keys by their ids; the first one seals, all of them open."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def seal(self, tenant_id: str, secret: str, purpose: Purpose = Purpose.TOKEN) -> tuple[str, bytes]:
        """Encrypt a secret for its tenant and purpose.

        Returns:
            The id of the key, and nonce and ciphertext together.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self.keys[self.current])
        return self.current, nonce + cipher.encrypt(nonce, secret.encode(), _binding(tenant_id, purpose))

    def open(self, tenant_id: str, key_id: str, sealed: bytes, purpose: Purpose = Purpose.TOKEN) -> str:
        """Decrypt a tenant's secret.

        Raises:
            CredentialError: the key is unknown, or the secret was sealed for another tenant or purpose, or altered.
        """
        if key_id not in self.keys:
            raise CredentialError(
                f"{tenant_id}: its {purpose} is encrypted under key {key_id!r}, which is not among the keys: "
                "add it to XENO_ENCRYPTION_KEYS."
            )
        try:
            opened = AESGCM(self.keys[key_id]).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _binding(tenant_id, purpose)
            )
        except (InvalidTag, ValueError):  # ValueError: it is shorter than a nonce
            raise CredentialError(
                f"{tenant_id}: its {purpose} cannot be decrypted (another key of the same id, or altered data): "
                f"{_REMEDIES[purpose].format(tenant_id)}."
            ) from None
        return opened.decode()


@dataclass(frozen=True)
class SealedSecret:
    """A secret as it is stored."""

    tenant_id: str
    purpose: Purpose
    key_id: str
    sealed: bytes = field(repr=False)


def sealed_secrets(connection: Connection) -> list[SealedSecret]:
    """All stored secrets."""
    return [
        SealedSecret(tenant_id, purpose, key_id, sealed)
        for table, columns in _SEALED.items()
        for column, purpose in columns.items()
        for tenant_id, key_id, sealed in connection.execute(
            sql.SQL("select tenant_id, key_id, {column} from {table} where {column} is not null").format(
                table=sql.Identifier("ops", table), column=sql.Identifier(column)
            )
        )
    ]


def key_file(settings: Settings) -> Path:
    """The file of the keys, unless XENO_ENCRYPTION_KEYS holds them."""
    return settings.home / "encryption.keys"


def load_key_ring(settings: Settings) -> KeyRing:
    """The keys from XENO_ENCRYPTION_KEYS, else from a file in XENO_HOME, which is created the first time.

    Raises:
        UsageError: the keys are not `id:base64` pairs of 32 bytes.
    """
    if settings.encryption_keys is not None:
        return KeyRing(_parse(settings.encryption_keys.get_secret_value().split(","), "XENO_ENCRYPTION_KEYS"))
    path = key_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _write_keys(path, [_new_key()])
    return KeyRing(_parse(path.read_text().split(), str(path)))


def rotate(settings: Settings, connection: Connection) -> tuple[str, int]:
    """Seal every secret under a new key (of the key file), or under the first of XENO_ENCRYPTION_KEYS.

    Returns:
        The id of the key that seals now, and the number of resealed secrets.
    """
    ring = load_key_ring(settings)
    if settings.encryption_keys is None:
        path = key_file(settings)
        with FileLock(path.with_suffix(".lock")):
            _write_keys(path, [_new_key(), *path.read_text().split()])
        ring = load_key_ring(settings)
    counts = [_reseal(connection, ring, table, columns) for table, columns in _SEALED.items()]
    return ring.current, sum(counts)


def _reseal(connection: Connection, ring: KeyRing, table: str, columns: Mapping[str, Purpose]) -> int:
    """Reseal the secrets of a table with the ring's current key; returns how many had another."""
    names = {"table": sql.Identifier("ops", table), "columns": sql.SQL(", ").join(map(sql.Identifier, columns))}
    stale = sql.SQL("select tenant_id, key_id, {columns} from {table} where key_id <> %s for update").format(**names)
    updates = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in columns)
    update = sql.SQL("update {table} set key_id = %s, {updates} where tenant_id = %s").format(updates=updates, **names)
    count = 0
    for tenant_id, key_id, *sealed in connection.execute(stale, [ring.current]).fetchall():
        opened = {
            column: ring.open(tenant_id, key_id, value, columns[column])
            for column, value in zip(columns, sealed, strict=True)
            if value is not None
        }
        resealed = {column: ring.seal(tenant_id, secret, columns[column])[1] for column, secret in opened.items()}
        connection.execute(update, [ring.current, *(resealed.get(column) for column in columns), tenant_id])
        count += len(resealed)
    return count


def _binding(tenant_id: str, purpose: Purpose) -> bytes:
    """The associated data that binds a secret to its tenant and purpose: copied to another row, it cannot be opened."""
    return f"xeno-pipeline/tenant-{purpose}/{tenant_id}".encode()


def _new_key() -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return f"k{stamp}-{secrets.token_hex(2)}:{key}"


def _write_keys(path: Path, pairs: list[str]) -> None:
    """Replace the key file atomically: a partial key file would lose every token."""
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
        raise UsageError(f"{source} holds no key; restore it from a backup, or remove it and set every token again.")
    return keys
