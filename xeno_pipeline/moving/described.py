"""What the manifest holds of a tenant: its registration, secrets, BI roles and who may see it."""

from __future__ import annotations

from typing import Literal

import psycopg
from psycopg.rows import dict_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.roles import list_bi_roles
from xeno_pipeline.errors import XenoError
from xeno_pipeline.moving.inventory import MovedTable
from xeno_pipeline.moving.manifest import Access, ArchivedRole, Credentials, OwnApp, Registration
from xeno_pipeline.tenants.credentials import KeyRing, Purpose
from xeno_pipeline.tenants.grants import has_grant, load_grant
from xeno_pipeline.tenants.registry import get


class MissingTableError(XenoError):
    """A table that is moved is not there yet."""


def registration(connection: Connection, tenant_id: str, status: Literal["active", "suspended"]) -> Registration:
    """The tenant's row in the registry, with the status that it had before it began to move."""
    tenant = get(connection, tenant_id)
    row = connection.execute(
        "select created_at, connected_at, monthly_points from ops.tenants where tenant_id = %s", [tenant_id]
    ).fetchone()
    assert row is not None
    return Registration(
        shop_domain=tenant.shop_domain,
        api_url=tenant.api_url,
        name=tenant.name,
        currency=tenant.currency,
        iana_timezone=tenant.iana_timezone,
        plan=tenant.plan,
        access_scopes=tuple(tenant.access_scopes),
        status=status,
        created_at=row[0],
        connected_at=row[1],
        monthly_points=row[2],
    )


def credentials(connection: Connection, ring: KeyRing, archive_ring: KeyRing, tenant_id: str) -> Credentials | None:
    """The tenant's token, sealed again with the archive's key; None if it has none.

    Raises:
        CredentialError: it cannot be decrypted.
    """
    if not has_grant(connection, tenant_id):
        return None
    grant = load_grant(connection, ring, tenant_id)
    refresh = grant.refresh_token
    return Credentials(
        kind=grant.kind,
        token=archive_ring.seal(tenant_id, grant.token)[1],
        refresh_token=None if refresh is None else archive_ring.seal(tenant_id, refresh, Purpose.REFRESH_TOKEN)[1],
        expires_at=grant.expires_at,
    )


def own_app(connection: Connection, ring: KeyRing, archive_ring: KeyRing, tenant_id: str) -> OwnApp | None:
    """The tenant's own app, its secret sealed again with the archive's key; None if it has none.

    Raises:
        CredentialError: the secret cannot be decrypted.
    """
    row = connection.execute(
        "select client_id, key_id, sealed_secret from ops.tenant_apps where tenant_id = %s", [tenant_id]
    ).fetchone()
    if row is None:
        return None
    secret = ring.open(tenant_id, row[1], row[2], Purpose.APP_SECRET)
    return OwnApp(client_id=row[0], secret=archive_ring.seal(tenant_id, secret, Purpose.APP_SECRET)[1])


def bi_roles(connection: Connection, archive_ring: KeyRing, tenant_id: str) -> tuple[ArchivedRole, ...]:
    """The roles of the tenant's BI tools, with the verifiers of their passwords where the database shows them."""
    roles = list_bi_roles(connection, [tenant_id])
    verifiers: dict[str, str | None] = {}
    try:
        with connection.transaction():  # a savepoint: only superusers read this
            query = "select rolname, rolpassword from pg_authid where rolname = any(%s)"
            verifiers = dict(connection.execute(query, [[role.name for role in roles]]).fetchall())
    except psycopg.errors.InsufficientPrivilege:
        pass
    return tuple(
        ArchivedRole(
            name=role.name,
            tool=role.tool,
            verifier=archive_ring.seal(tenant_id, verifier, Purpose.BI_PASSWORD)[1] if verifier else None,
        )
        for role in roles
        for verifier in [verifiers.get(role.name)]
    )


def access(connection: Connection, tenant_id: str) -> tuple[Access, ...]:
    """Who may see the store by a grant of its own. Grants for all stores are the installation's, and stay."""
    rows = connection.cursor(row_factory=dict_row).execute(
        """
        select
            coalesce(people.email, keys.name) as name, keys.secret_hash, grants.role, grants.scopes,
            coalesce(people.created_at, keys.created_at) as created_at, keys.expires_at
        from ops.access_grants grants
        left join ops.people using (person_id)
        left join ops.access_keys keys on keys.key_id = grants.key_id
        where grants.tenant_id = %s and (keys.expires_at is null or keys.expires_at > now())
        order by grants.grant_id
        """,
        [tenant_id],
    )
    return tuple(Access(**row) for row in rows)


def moved_columns(connection: Connection, table: MovedTable) -> list[str]:
    """The columns of a table that an archive has, in their order.

    Raises:
        MissingTableError: the table is not there.
    """
    schema, _, name = table.name.partition(".")
    rows = connection.execute(
        """
        select column_name from information_schema.columns
        where table_schema = %s and table_name = %s and column_name not in ('tenant_id', %s)
        order by ordinal_position
        """,
        [schema, name, table.numbering or "tenant_id"],
    ).fetchall()
    if not rows:
        raise MissingTableError(f"The database has no table {table.name} yet: run `xeno db migrate` once.")
    return [column for (column,) in rows]
