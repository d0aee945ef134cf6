"""The database roles of BI tools: logins that read the marts of one tenant, or of all as an operator does.

Row-level security (`ops.secure`) and `ops.bi_roles`, which binds logins to tenants, decide what a role sees. Roles
belong to the whole cluster. So their names are random and do not reveal tenants, and the names of the two groups that
hold the grants contain the database's oid.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.leakproof import mark_leakproof
from xeno_pipeline.errors import UsageError, XenoError

_LIMITS = {
    "search_path": "marts",
    "default_transaction_read_only": "on",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "5min",
}
"""What a session begins with. The role may change all of these: they are defaults, the grants are the boundary."""

_CONNECTIONS = 20
"""As many sessions may a role have, so that one tool leaves room for the others."""

DEFAULT_TOOL = "bi"
"""The name of the role that a tenant has where no name is given."""

_TOOL = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")

_MAKING_RELATIONS = "select pg_advisory_lock(hashtextextended('xeno make relations', 0))"
"""The lock that is held while the relations of the marts are made."""

_THIS_DATABASE = "(select oid from pg_database where datname = current_database())"


class RolesNotPermittedError(XenoError):
    """The database's owner may not create or change roles."""


@dataclass(frozen=True)
class BiRole:
    """A login for a BI tool.

    Args:
        name: its user name.
        password: shown once; the database keeps a SCRAM verifier.
    """

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class KnownBiRole:
    """A login for a BI tool, as it is listed.

    Args:
        name: its user name.
        tenant_id: whose marts it reads; None: all tenants'.
        tool: which of the tenant's roles it is.
        may_log_in: not while its tenant is suspended.
    """

    name: str
    tenant_id: str | None
    tool: str
    created_at: datetime
    may_log_in: bool


@dataclass(frozen=True)
class Address:
    """Where the database takes logins with a password.

    Args:
        host: a name, an address, or the folder of a Unix socket.
        port: its port, which names the socket too.
        database: its name.
    """

    host: str
    port: int
    database: str

    def url(self, user: str, password: str | None = None) -> str:
        """The libpq URL for a user; without a password, clients ask for it."""
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"postgresql://{credentials}@{quote(self.host, safe='')}:{self.port}/{quote(self.database, safe='')}"


def grant_bi_role(
    database: Database, tenant_id: str | None, password: str | None = None, *, tool: str = DEFAULT_TOOL
) -> BiRole:
    """Create the role of a tenant's BI tool, or give it a new password where it exists.

    Args:
        database: where the marts lie; migrated.
        tenant_id: whose marts it reads; None for an operator's role, which reads all tenants'.
        password: its password; a random one if None.
        tool: which role it is, where the tenant has several.

    Returns:
        The role with its password, which cannot be read again.

    Raises:
        UsageError: the name of the tool is none.
        RolesNotPermittedError: the owner may not create roles; the message says what an administrator must run.
    """
    check_tool(tool)
    password = password or secrets.token_urlsafe(24)
    with database.connect(autocommit=True) as connection, explain_refusal(connection):
        prepare_groups(connection)
        with connection.transaction():
            connection.execute("lock table ops.bi_roles in share row exclusive mode")  # two may ask for the same
            name = _role_of(connection, tenant_id, tool) or create_role(connection, tenant_id, tool)
            set_up_role(connection, name, _verifier(connection, name, password))
    return BiRole(name, password)


def revoke_bi_role(connection: Connection, tenant_id: str | None, *, tool: str = DEFAULT_TOOL) -> bool:
    """Drop the role of a tenant's BI tool (None: the operators'). Its open sessions see nothing from then on.

    Returns:
        Whether there was one.

    Raises:
        RolesNotPermittedError: the owner may not drop it.
    """
    name = _role_of(connection, tenant_id, tool)
    if name is not None:
        _drop(connection, tenant_id, name)
    return name is not None


def revoke_bi_roles(connection: Connection, tenant_id: str) -> None:
    """Drop all roles of a tenant's BI tools; see `revoke_bi_role`."""
    for role in list_bi_roles(connection, [tenant_id]):
        _drop(connection, tenant_id, role.name)


def adopt_bi_roles(database: Database) -> int:
    """Bind the roles that came with a backup, of a database that is not on this server, to this one.

    A dump names the database it was made of, and a copy beside its original must bind nobody. Where the original is not
    there, the copy has taken its place; what the server does not know of its roles is left alone.

    Args:
        database: migrated, with the relations of the marts.

    Returns:
        How many may log in as before.

    Raises:
        RolesNotPermittedError: the owner may not manage them; the message says what an administrator must run.
    """
    unbound = """
        from ops.bi_roles join pg_roles on rolname = role_name
        where database_oid not in (select oid from pg_database)
        """
    with database.connect(autocommit=True) as connection, explain_refusal(connection):
        if not connection.execute(f"select {unbound}").fetchall():
            return 0
        prepare_groups(connection)
        with connection.transaction():
            connection.execute("lock table ops.bi_roles in share row exclusive mode")
            found = connection.execute(f"select role_name, tenant_id {unbound}").fetchall()
            for name, tenant_id in found:
                connection.execute(
                    f"update ops.bi_roles set database_oid = {_THIS_DATABASE} where role_name = %s", [name]
                )
                role = sql.Identifier(name)
                connection.execute(sql.SQL("grant {} to {}").format(_group(connection, tenant_id), role))
    return len(found)


def allow_login(connection: Connection, tenant_id: str, *, allowed: bool) -> None:
    """Let the roles of a tenant's BI tools log in, or not; nothing where there are none.

    Raises:
        RolesNotPermittedError: the owner may not change it.
    """
    statement = "alter role {} login" if allowed else "alter role {} nologin"
    for name in bi_roles_of(connection, tenant_id):
        with explain_refusal(connection):
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def password_address(connection: Connection, *, is_embedded: bool) -> Address | None:
    """Where roles other than the owner connect.

    Returns:
        None for an embedded server without a TCP port: its socket is its owner's alone.
    """
    info = connection.info
    if not is_embedded:
        return Address(info.host or "localhost", info.port, info.dbname)
    row = connection.execute("select current_setting('listen_addresses'), current_setting('port')::integer").fetchone()
    assert row is not None
    return Address(row[0], row[1], info.dbname) if row[0] else None


def list_bi_roles(connection: Connection, tenant_ids: Sequence[str | None] = ()) -> list[KnownBiRole]:
    """The roles of BI tools in this database, those of operators (None) first.

    Args:
        tenant_ids: of whom; without any, of all.
    """
    rows = connection.execute(
        f"""
        select role_name, tenant_id, tool, created_at, rolcanlogin
        from ops.bi_roles join pg_roles on rolname = role_name
        where database_oid = {_THIS_DATABASE}
        order by tenant_id nulls first, tool
        """
    ).fetchall()
    return [KnownBiRole(*row) for row in rows if not tenant_ids or row[1] in tenant_ids]


def bi_roles_of(connection: Connection, tenant_id: str) -> list[str]:
    """The names of the roles of a tenant's BI tools in this database."""
    return sorted(role.name for role in list_bi_roles(connection, [tenant_id]))


def check_tool(tool: str) -> None:
    """Check the name by which a tenant's roles are told apart.

    Raises:
        UsageError: it is none.
    """
    if _TOOL.fullmatch(tool) is None:
        raise UsageError(
            f"{tool!r} is no name for a role: lower-case letters, digits, dots, hyphens and underscores, at most 60."
        )


def prepare_groups(connection: Connection) -> None:
    """Make the groups of BI roles and give them what they may: to connect, and to read the marts.

    The marts' views run as whoever asks, so the groups may read the tables of intermediate too. Without USAGE on that
    schema they cannot name them.

    Each statement is a transaction, so that no more than one relation is locked at a time, and every call does it
    all: a copy of the database brings the relations with it, but not what its database grants.
    """
    hold_relations(connection)
    groups = [_named_group(connection, kind) for kind in ("tenants", "operators")]
    for group in groups:
        if connection.execute("select from pg_roles where rolname = %s", [group]).fetchone() is None:
            connection.execute(sql.SQL("create role {}").format(sql.Identifier(group)))
    names = {
        "database": sql.Identifier(connection.info.dbname),
        "groups": sql.SQL(", ").join(map(sql.Identifier, groups)),
    }
    for statement in (
        "revoke temporary on database {database} from public",
        "revoke create on schema public from public",
        "grant connect on database {database} to {groups}",
        "grant usage on schema marts to {groups}",
        "grant execute on function ops.bound_tenant() to {groups}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
    _check_database(connection, groups[0])
    secure_relations(connection)
    mark_leakproof(connection)


def hold_relations(connection: Connection) -> None:
    """Wait until nobody makes the relations of the marts, and keep others from it until the session ends."""
    connection.execute(_MAKING_RELATIONS)


def secure_relations(connection: Connection) -> None:
    """Let every role read what it may of the marts, and of the tables that they stand on.

    Args:
        connection: in autocommit mode, so that no more than one relation is locked at a time.
    """
    relations = connection.execute(
        """
        select attrelid from pg_attribute join pg_class on pg_class.oid = attrelid
        where attname = 'tenant_id'
        and (
            relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')
            or relnamespace = 'intermediate'::regnamespace and relkind = 'r'
        )
        """
    ).fetchall()
    for (relation,) in relations:
        connection.execute("select ops.secure(%s)", [relation])


def _check_database(connection: Connection, group: str) -> None:
    """Check the database's grants, which only its owner can correct."""
    row = connection.execute(
        """
        select has_database_privilege(%(group)s, current_database(), 'connect')
        and not has_database_privilege(%(group)s, current_database(), 'temporary')
        """,
        {"group": group},
    ).fetchone()
    if row != (True,):
        name = sql.Identifier(connection.info.dbname).as_string()
        raise RolesNotPermittedError(
            f"The database {name} is another role's: an administrator must run `revoke temporary on database {name} "
            f"from public; grant connect on database {name} to {group}` first."
        )


def create_role(connection: Connection, tenant_id: str | None, tool: str, name: str | None = None) -> str:
    """Create a role that may do nothing but what its group may, and bind it to the tenant; a random name if None."""
    name = name or f"xeno_bi_{secrets.token_hex(8)}"
    role = sql.Identifier(name)
    connection.execute(sql.SQL("create role {} login connection limit {}").format(role, sql.Literal(_CONNECTIONS)))
    connection.execute(sql.SQL("grant {} to {}").format(_group(connection, tenant_id), role))
    connection.execute(
        f"insert into ops.bi_roles (role_name, database_oid, tenant_id, tool) values (%s, {_THIS_DATABASE}, %s, %s)",
        [name, tenant_id, tool],
    )
    return name


def _drop(connection: Connection, tenant_id: str | None, name: str) -> None:
    role = sql.Identifier(name)
    with explain_refusal(connection):
        connection.execute("delete from ops.bi_roles where role_name = %s", [name])
        connection.execute(sql.SQL("revoke {} from {}").format(_group(connection, tenant_id), role))
        connection.execute(sql.SQL("alter role {} nologin").format(role))
        # A role that made something of its own, such as a large object, cannot be dropped: it stays, good for nothing.
        with suppress(psycopg.errors.DependentObjectsStillExist), connection.transaction():
            connection.execute(sql.SQL("drop role {}").format(role))


def set_up_role(connection: Connection, name: str, verifier: str | None) -> None:
    """Give the role its limits, and the password that a SCRAM verifier is of; None for none."""
    role = sql.Identifier(name)
    connection.execute(sql.SQL("alter role {} login password {}").format(role, verifier))
    connection.execute(sql.SQL("alter role {} reset all").format(role))
    for setting, value in _LIMITS.items():
        connection.execute(sql.SQL("alter role {} set {} = {}").format(role, sql.Identifier(setting), value))


def _verifier(connection: Connection, name: str, password: str) -> str:
    """What the server keeps of a password. Only this is sent, so that no log can hold the password."""
    return connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()


def _role_of(connection: Connection, tenant_id: str | None, tool: str) -> str | None:
    """The name of a tenant's role (None: the operators') in this database; None where there is none."""
    found = [role.name for role in list_bi_roles(connection, [tenant_id]) if role.tool == tool]
    return found[0] if found else None


def _group(connection: Connection, tenant_id: str | None) -> sql.Identifier:
    return sql.Identifier(_named_group(connection, "operators" if tenant_id is None else "tenants"))


def _named_group(connection: Connection, kind: str) -> str:
    row = connection.execute("select ops.bi_group(%s)", [kind]).fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def explain_refusal(connection: Connection) -> Iterator[None]:
    """Turn the refusal to create or change a role into what an administrator must run.

    Raises:
        RolesNotPermittedError: it was refused.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        owner = sql.Identifier(connection.info.user).as_string()
        raise RolesNotPermittedError(
            f"The role {owner} may not manage the roles that read the marts ({str(error).splitlines()[0]}): an "
            f"administrator of the server must run `alter role {owner} createrole` (and, for a role that another one "
            f"created, `grant that_role to {owner} with admin option`)."
        ) from error
