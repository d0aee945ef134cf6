"""The registry of tenants: one row per Shopify store in `ops.tenants`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.roles import allow_login
from xeno_pipeline.database.tenant_lock import lock_against_removal
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.tenants.zones import UnknownZoneError, check_zone

HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
"""A store's handle: `acme` of `acme.myshopify.com`. It is the tenant's id, readable in SQL and in the UI."""

_COLUMNS = "tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes, status"


class UnknownTenantError(UsageError):
    """No tenant has this handle."""


class TenantExistsError(XenoError):
    """The store is registered already."""


class UnusableFactsError(XenoError):
    """A store's properties cannot be processed."""


class TenantNotActiveError(XenoError):
    """The tenant is suspended, moving or removed."""


@dataclass(frozen=True)
class Tenant:
    """One Shopify store, with the properties that it reports."""

    tenant_id: str
    shop_gid: str
    shop_domain: str
    api_url: str
    name: str
    currency: str
    iana_timezone: str
    plan: str
    access_scopes: Sequence[str]
    status: str = "active"

    @property
    def sees_all_orders(self) -> bool:
        """Whether the token sees orders of more than the last 60 days."""
        return "read_all_orders" in self.access_scopes


def check_handle(handle: str) -> str:
    """Validate a store's handle, and return it.

    Raises:
        UsageError: it is not a valid handle.
    """
    if HANDLE.fullmatch(handle):
        return handle
    hint = f" Did you mean {handle.split('.')[0]!r}?" if HANDLE.fullmatch(handle.split(".")[0]) else ""
    raise UsageError(
        f"{handle!r} is not a store handle: that is the part before .myshopify.com, of lower-case letters, digits "
        f"and hyphens.{hint}"
    )


def check_not_registered(connection: Connection, handle: str, shop_gid: str | None = None) -> None:
    """Check that neither the handle nor the shop is registered; a removed one may come back.

    Raises:
        TenantExistsError: one of them is.
    """
    known = connection.execute(
        """
        select tenant_id, status from ops.tenants
        where status <> 'removed' and (tenant_id = %s or shop_gid = %s)
        """,
        [handle, shop_gid],
    ).fetchone()
    if known is not None:
        hint = "" if known[1] == "active" else " Use `xeno tenant resume` to read it again."
        raise TenantExistsError(f"{known[0]}: this store is already registered ({known[1]}).{hint}")


def add(connection: Connection, tenant: Tenant) -> None:
    """Register a tenant, replacing the tombstone of its former registration.

    Raises:
        TenantExistsError: the handle, or the shop under another handle, is registered already.
        UnusableFactsError: see `check_facts`.
    """
    connection.execute("lock table ops.tenants in share row exclusive mode")  # two may be adding the same store
    check_not_registered(connection, tenant.tenant_id, tenant.shop_gid)
    check_facts(connection, tenant)
    connection.execute(
        "delete from ops.tenants where tenant_id = %s or shop_gid = %s", [tenant.tenant_id, tenant.shop_gid]
    )
    connection.execute(
        f"""
        insert into ops.tenants ({_COLUMNS})
        values (%(tenant_id)s, %(shop_gid)s, %(shop_domain)s, %(api_url)s, %(name)s, %(currency)s,
            %(iana_timezone)s, %(plan)s, %(access_scopes)s, %(status)s)
        """,
        {**vars(tenant), "access_scopes": list(tenant.access_scopes)},
    )


def update_facts(connection: Connection, tenant: Tenant) -> None:
    """Store the current properties of a tenant's store.

    Raises:
        UnusableFactsError: see `check_facts`.
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, tenant.tenant_id)
    check_facts(connection, tenant)
    rename(connection, tenant.tenant_id, tenant.shop_domain)
    connection.execute(
        """
        update ops.tenants
        set shop_domain = %(shop_domain)s, name = %(name)s, currency = %(currency)s, plan = %(plan)s,
            iana_timezone = %(iana_timezone)s, access_scopes = %(access_scopes)s, updated_at = now()
        where tenant_id = %(tenant_id)s
        and (shop_domain, name, currency, plan, iana_timezone, access_scopes) is distinct from
            (%(shop_domain)s, %(name)s, %(currency)s, %(plan)s, %(iana_timezone)s, %(access_scopes)s)
        """,
        {**vars(tenant), "access_scopes": list(tenant.access_scopes)},
    )


def check_facts(connection: Connection, tenant: Tenant) -> None:
    """Check that the shop's time zone is known, by which its days are determined.

    Raises:
        UnusableFactsError: PostgreSQL or Python does not know it.
    """
    try:
        check_zone(connection, tenant.tenant_id, tenant.iana_timezone)
    except UnknownZoneError as error:
        raise UnusableFactsError(str(error)) from None


def move(connection: Connection, handle: str, api_url: str) -> None:
    """Change the URL of a tenant's Admin API."""
    connection.execute(
        "update ops.tenants set api_url = %s, updated_at = now() where tenant_id = %s", [api_url, handle]
    )


def rename(connection: Connection, handle: str, shop_domain: str) -> None:
    """Change the domain of a tenant's shop; the former one stays registered."""
    former = connection.execute("select shop_domain from ops.tenants where tenant_id = %s", [handle]).fetchone()
    if former is None or former[0] == shop_domain:
        return
    add_domain(connection, handle, former[0])
    connection.execute(
        "update ops.tenants set shop_domain = %s, updated_at = now() where tenant_id = %s", [shop_domain, handle]
    )


def add_domain(connection: Connection, handle: str, domain: str) -> None:
    """Register a further domain of a tenant, taking it from another; current domains of shops have precedence."""
    connection.execute(
        """
        insert into ops.tenant_domains (domain, tenant_id) values (%s, %s)
        on conflict (domain) do update set tenant_id = excluded.tenant_id, added_at = now()
        """,
        [domain.lower(), handle],
    )


def find_by_domain(connection: Connection, domain: str) -> Tenant | None:
    """The tenant with this current or former domain."""
    query = "select tenant_id from ops.known_domains where domain = %s order by tenant_id"
    row = connection.execute(query, [domain.lower()]).fetchone()
    return find(connection, row[0]) if row else None


def find_by_shop(connection: Connection, shop_gid: str) -> Tenant | None:
    """The tenant of a shop, whatever its handle."""
    query = "select tenant_id from ops.tenants where shop_gid = %s and status <> 'removed'"
    row = connection.execute(query, [shop_gid]).fetchone()
    return find(connection, row[0]) if row else None


def reconnect(connection: Connection, handle: str, api_url: str) -> None:
    """Resume a tenant, possibly at another URL, whose merchant has connected it again.

    Raises:
        RolesNotPermittedError: the owner may not let the role of its BI tool log in again.
    """
    move(connection, handle, api_url)
    record_connection(connection, handle)
    set_status(connection, handle, "active")


def record_connection(connection: Connection, handle: str) -> None:
    """Record that a tenant has a working token now: an uninstallation before this moment no longer counts."""
    connection.execute("update ops.tenants set connected_at = clock_timestamp() where tenant_id = %s", [handle])


def find(connection: Connection, handle: str) -> Tenant | None:
    """The tenant of that handle; None where there is none, or it was removed."""
    cursor = connection.cursor(row_factory=class_row(Tenant))
    query = f"select {_COLUMNS} from ops.tenants where tenant_id = %s and status <> 'removed'"
    return cursor.execute(query, [handle]).fetchone()


def get(connection: Connection, handle: str, *, for_update: bool = False) -> Tenant:
    """The tenant of that handle.

    Args:
        for_update: whether to lock it until the transaction ends.

    Raises:
        UnknownTenantError: there is none, or it was removed.
    """
    if for_update:
        connection.execute("select from ops.tenants where tenant_id = %s for no key update", [handle])
    tenant = find(connection, handle)
    if tenant is None:
        raise UnknownTenantError(
            f"There is no tenant {handle!r}: `xeno tenant list` shows them, `xeno tenant add` adds one."
        )
    return tenant


def list_all(connection: Connection) -> list[Tenant]:
    """All tenants except removed ones, ordered by handle."""
    cursor = connection.cursor(row_factory=class_row(Tenant))
    query = f"select {_COLUMNS} from ops.tenants where status <> 'removed' order by tenant_id"
    return cursor.execute(query).fetchall()


def active(connection: Connection, handles: Sequence[str] = ()) -> list[Tenant]:
    """The active tenants of those handles; all active ones where none are given.

    Raises:
        UnknownTenantError: a handle names no tenant.
        TenantNotActiveError: a handle names a suspended one.
    """
    if not handles:
        return [tenant for tenant in list_all(connection) if tenant.status == "active"]
    tenants = [get(connection, handle) for handle in dict.fromkeys(handles)]
    for tenant in tenants:
        if tenant.status != "active":
            raise TenantNotActiveError(
                f"{tenant.tenant_id} is {tenant.status}: `xeno tenant resume {tenant.tenant_id}` resumes it."
            )
    return tenants


@dataclass(frozen=True)
class Selection:
    """The tenants that a run was requested for.

    Args:
        tenants: the active ones.
        skipped: the status of the others, by handle.
    """

    tenants: Sequence[Tenant]
    skipped: Mapping[str, str]


def select(connection: Connection, handles: Sequence[str] = ()) -> Selection:
    """The active tenants of those handles (all where none are given), and the status of the others.

    A run may start long after it was requested; a tenant that is no longer active is no reason to fail.
    """
    if not handles:
        return Selection(active(connection), {})
    cursor = connection.cursor(row_factory=class_row(Tenant))
    query = f"select {_COLUMNS} from ops.tenants where tenant_id = any(%s)"
    known = {tenant.tenant_id: tenant for tenant in cursor.execute(query, [list(handles)])}
    wanted = list(dict.fromkeys(handles))
    return Selection(
        [known[handle] for handle in wanted if handle in known and known[handle].status == "active"],
        {
            handle: known[handle].status if handle in known else "unknown"
            for handle in wanted
            if handle not in known or known[handle].status != "active"
        },
    )


def set_status(connection: Connection, handle: str, status: str) -> Tenant:
    """Make a tenant active, suspended or moving; the role of its BI tool logs in unless it is suspended.

    Raises:
        UnknownTenantError: there is none of that handle.
        RolesNotPermittedError: the owner may not change that role.
    """
    get(connection, handle)
    connection.execute(
        """
        update ops.tenants
        set status = %(status)s, updated_at = now(), exported_at = case when %(status)s = 'moving' then exported_at end
        where tenant_id = %(tenant_id)s
        """,
        {"status": status, "tenant_id": handle},
    )
    allow_login(connection, handle, allowed=status != "suspended")
    return get(connection, handle)
