"""The encryption keys, and whether they open every secret that is stored."""

from __future__ import annotations

import stat

from xeno_pipeline.database.connection import Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.finding import Finding, from_error, ok, warning, wrong
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, key_file, load_key_ring, sealed_secrets

_RESTORE = "Restore the keys from a backup; else give every token anew with `xeno tenant set-token`."


def examine_keys(settings: Settings, database: Database) -> tuple[KeyRing | None, list[Finding]]:
    """The keys, if there are any; and what is to be said of them and of what they are to open."""
    with database.connect() as connection:
        secrets = sealed_secrets(connection)
    path = key_file(settings)
    if settings.encryption_keys is None and not path.exists():
        if secrets:
            told = f"{len(secrets)} secrets are stored, but there is no key file {path}."
            return None, [wrong("encryption keys", told, _RESTORE)]
        return None, [ok("encryption keys", "none yet: they are made with the first token")]
    try:
        ring = load_key_ring(settings)
    except (XenoError, OSError) as error:
        return None, [from_error("encryption keys", error)]
    unreadable = []
    for secret in secrets:
        try:
            ring.open(secret.tenant_id, secret.key_id, secret.sealed, secret.purpose)
        except CredentialError as error:
            unreadable.append(from_error("encryption keys", error))
    if unreadable:
        return ring, unreadable
    if settings.encryption_keys is None and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return ring, [warning("encryption keys", f"Others may read {path}.", f"Run `chmod 600 {path}`.")]
    stale = sum(secret.key_id != ring.current for secret in secrets)
    if stale:
        told = f"{stale} of {len(secrets)} secrets lie under an older key."
        return ring, [warning("encryption keys", told, "Run `xeno db rotate-key`.")]
    return ring, [ok("encryption keys", f"key {ring.current} opens all {len(secrets)} secrets")]
