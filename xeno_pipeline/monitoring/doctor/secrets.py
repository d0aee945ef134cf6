"""The encryption keys, and whether they decrypt every stored secret."""

from __future__ import annotations

import stat

from xeno_pipeline.database.connection import Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, from_error, ok, warning, wrong
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, key_file, load_key_ring, sealed_secrets

_RESTORE = "Restore the keys from a backup; failing that, enter every token again with `xeno tenant set-token`."


def diagnose_keys(settings: Settings, database: Database) -> tuple[KeyRing | None, list[Diagnosis]]:
    """Load the keys, and decrypt every stored secret; None where there are no usable keys."""
    with database.connect() as connection:
        secrets = sealed_secrets(connection)
    path = key_file(settings)
    if settings.encryption_keys is None and not path.exists():
        if secrets:
            message = f"{len(secrets)} secrets are stored, but there is no key file {path}."
            return None, [wrong("encryption keys", message, _RESTORE)]
        return None, [ok("encryption keys", "none yet: they are created with the first token")]
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
        return ring, [warning("encryption keys", f"Other users can read {path}.", f"Run `chmod 600 {path}`.")]
    stale = sum(secret.key_id != ring.current for secret in secrets)
    if stale:
        message = f"{stale} of {len(secrets)} secrets are encrypted with an older key."
        return ring, [warning("encryption keys", message, "Run `xeno db rotate-key`.")]
    return ring, [ok("encryption keys", f"key {ring.current} decrypts all {len(secrets)} secrets")]
