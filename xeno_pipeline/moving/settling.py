"""What an import does besides loading tables: registration, secrets, BI roles, and who may see the store."""

from __future__ import annotations

import re
from itertools import count

from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.roles import allow_login, create_role, explain_refusal, set_up_role
from xeno_pipeline.moving.manifest import Access, ArchivedRole, Manifest
from xeno_pipeline.shopify.privacy import CUSTOMER_REDACT
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.apps import store_app
from xeno_pipeline.tenants.credentials import KeyRing, Purpose
from xeno_pipeline.tenants.grants import Grant, GrantKind, store_grant

_ROLE = re.compile(r"xeno_bi_[0-9a-f]{16}")
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[0-9A-Za-z+/=]+\$[0-9A-Za-z+/=]+:[0-9A-Za-z+/=]+")


def complete_registration(connection: Connection, manifest: Manifest) -> None:
    """Store what the registry knows of a tenant besides its facts."""
    registration, tenant_id = manifest.registration, manifest.tenant_id
    assert registration is not None
    connection.execute(
        "update ops.tenants set created_at = %s, connected_at = %s where tenant_id = %s",
        [registration.created_at, registration.connected_at, tenant_id],
    )
    usage.set_limit(connection, tenant_id, registration.monthly_points)


def restore_segments(connection: Connection, tenant_id: str) -> None:
    """Store again what a trigger empties in new segments, but no compiled condition: transforms compile the queries.

    Segments keep their numbers, by which the history, the API and people name them; further ones get higher numbers.
    """
    connection.execute(
        """
        update ops.segments
        set changed_at = arrived.changed_at, is_personal = arrived.is_personal,
            may_be_personal = arrived.may_be_personal
        from arrived_segments arrived
        where segments.tenant_id = %s and segments.segment_id = arrived.segment_id
        """,
        [tenant_id],
    )
    connection.execute(
        """
        select setval(sequence, greatest(highest, nextval(sequence)))
        from pg_get_serial_sequence('ops.segments', 'segment_id') sequence
        cross join (select max(segment_id) as highest from ops.segments) segments
        """
    )


def forget_export_files(connection: Connection, tenant_id: str) -> None:
    """Forget the files of data requests: they are on the disk of the other installation."""
    connection.execute("update ops.privacy_requests set export_file = null where tenant_id = %s", [tenant_id])


def reopen_redactions(connection: Connection, staged: sql.Identifier) -> None:
    """Let redactions be done here, whether they were done where they came from: not in the rows that were exported."""
    connection.execute(
        sql.SQL("update {} set done_at = null, outcome = null, due_at = now() where kind = %s").format(staged),
        [CUSTOMER_REDACT],
    )


def store_secrets(connection: Connection, ring: KeyRing, archive_ring: KeyRing, manifest: Manifest) -> None:
    """Seal the tenant's secrets with this installation's key.

    Raises:
        CredentialError: one is not what the archive's key sealed.
    """
    tenant_id = manifest.tenant_id

    def opened(sealed: bytes, purpose: Purpose) -> str:
        return archive_ring.open(tenant_id, archive_ring.current, sealed, purpose)

    app = manifest.own_app
    if app is not None:
        store_app(connection, ring, tenant_id, app.client_id, opened(app.secret, Purpose.APP_SECRET))
    held = manifest.credentials
    if held is not None:
        token = opened(held.token, Purpose.TOKEN)
        refresh = None if held.refresh_token is None else opened(held.refresh_token, Purpose.REFRESH_TOKEN)
        store_grant(connection, ring, tenant_id, Grant(GrantKind(held.kind), token, held.expires_at, refresh))


def grant_access(connection: Connection, manifest: Manifest) -> list[str]:
    """Let people and keys do what they may; a person or key that is known here has one grant more.

    Returns:
        Notes about keys whose name another one has here.
    """
    notes: list[str] = []
    for access in manifest.access:
        if access.secret_hash is None:
            column, number = "person_id", _person(connection, access)
        else:
            name, number = _key(connection, access)
            column = "key_id"
            if name != access.name:
                notes.append(f"The key {access.name} is called {name} here, where another key has its name.")
        connection.execute(
            f"insert into ops.access_grants ({column}, tenant_id, role, scopes) values (%s, %s, %s, %s)",
            [number, manifest.tenant_id, access.role, list(access.scopes)],
        )
    return notes


def _person(connection: Connection, access: Access) -> int:
    row = connection.execute(
        """
        insert into ops.people (email, created_at) values (%s, %s)
        on conflict (email) do update set email = excluded.email returning person_id
        """,
        [access.name, access.created_at],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _key(connection: Connection, access: Access) -> tuple[str, int]:
    """The name and number of a key here: of the same secret, or a new one."""
    known = connection.execute(
        "select name, key_id from ops.access_keys where secret_hash = %s", [access.secret_hash]
    ).fetchone()
    if known is not None:
        return known[0], known[1]
    for number in count(1):
        name = access.name if number == 1 else f"{access.name[:50]}-{number}"
        row = connection.execute(
            """
            insert into ops.access_keys (secret_hash, name, created_at, expires_at) values (%s, %s, %s, %s)
            on conflict (name) do nothing returning key_id
            """,
            [access.secret_hash, name, access.created_at, access.expires_at],
        ).fetchone()
        if row is not None:
            return name, row[0]
    raise AssertionError("numbers do not end")


def restore_bi_roles(connection: Connection, archive_ring: KeyRing, manifest: Manifest) -> list[str]:
    """Create the roles of BI tools with their names and passwords; no role that exists is touched.

    Returns:
        Notes about roles that have another name, or no password.

    Raises:
        RolesNotPermittedError: the owner may not create roles.
    """
    notes: list[str] = []
    for role in manifest.bi_roles:
        with explain_refusal(connection):
            name = create_role(connection, manifest.tenant_id, role.tool, _free_name(connection, role))
            verifier = _verifier(archive_ring, manifest.tenant_id, role)
            set_up_role(connection, name, verifier)
        if name != role.name:
            notes.append(
                f"The BI role {role.tool} is called {name} here: the server has a role {role.name} already, maybe "
                "because both installations are on it. Its password is the same."
            )
        if verifier is None:
            notes.append(
                f"The BI role {role.tool} ({name}) has no password yet, because the database it comes from did not "
                f"show its verifier: `xeno tenant bi-role {manifest.tenant_id} --name {role.tool} --password -` sets "
                "the one that it had, or another."
            )
    if manifest.registration is not None and manifest.registration.status == "suspended":
        allow_login(connection, manifest.tenant_id, allowed=False)
    return notes


def _free_name(connection: Connection, role: ArchivedRole) -> str | None:
    """The role's own name, if the server has no role of that name."""
    taken = connection.execute("select from pg_roles where rolname = %s", [role.name]).fetchone()
    return role.name if taken is None and _ROLE.fullmatch(role.name) else None


def _verifier(archive_ring: KeyRing, tenant_id: str, role: ArchivedRole) -> str | None:
    if role.verifier is None:
        return None
    verifier = archive_ring.open(tenant_id, archive_ring.current, role.verifier, Purpose.BI_PASSWORD)
    return verifier if _VERIFIER.fullmatch(verifier) else None
