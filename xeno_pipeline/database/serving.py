"""The login `xeno_serving`, by which the marts are asked: it sees no row until a secret unlocks some.

It belongs to the whole server, whose other databases may have it too. Migration 0021 makes it where the owner may make
roles; policies on the tables (`ops.secure`) and grants (`ops.admit_serving`) say what it sees.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress

from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from xeno_pipeline.database.connection import Connection, Database, pooled_database
from xeno_pipeline.database.leakproof import mark_leakproof
from xeno_pipeline.database.roles import RolesNotPermittedError, explain_refusal, hold_relations, secure_relations
from xeno_pipeline.settings import Settings

SERVING = "xeno_serving"
"""The login's name."""

_DEFAULTS = {
    "default_transaction_read_only": "on",
    "search_path": "serving, marts",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "5min",
}
"""What a session begins with. It may change all of these: the grants are the boundary."""


def serving_url(settings: Settings, database: Database | None = None) -> str:
    """Where and how the login connects, as libpq's connection string.

    An embedded server takes it on its owner's socket. Another one takes XENO_SERVING_PASSWORD, and the user and
    password of XENO_DATABASE_URL are not used.

    Args:
        database: where the database is for somebody else; by default that of the settings, by their pooler.

    Raises:
        UsageError: a setting is not a PostgreSQL URL.
    """
    url = (database or pooled_database(settings)).url
    if settings.database_url is None:
        return make_conninfo(url, user=SERVING)
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if name not in ("password", "passfile")}
    parts.setdefault("dbname", parts.get("user", ""))  # libpq's default is the user's name, which changes here
    if settings.serving_password is not None:
        parts["password"] = settings.serving_password.get_secret_value()
    return make_conninfo(**parts | {"user": SERVING})


def prepare_serving(database: Database, password: str | None = None) -> None:
    """Make the login, give it what it may, and its password, where one is given. May be called again.

    Args:
        database: migrated; its relations may be made before or after.
        password: only its SCRAM verifier is sent.

    Raises:
        RolesNotPermittedError: the owner may not do it; the message says what an administrator must run.
    """
    with database.connect(autocommit=True) as connection, explain_refusal(connection):
        hold_relations(connection)
        if connection.execute("select to_regrole(%s)", [SERVING]).fetchone() == (None,):
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(SERVING)))
        # Whoever has a session of the login may change its defaults. An owner that may not set them did not make it.
        with nullcontext() if password is not None else suppress(errors.InsufficientPrivilege):
            _set_up(connection, password)
        _admit(connection)
        secure_relations(connection)
        mark_leakproof(connection)


def _set_up(connection: Connection, password: str | None) -> None:
    """Give the login its defaults, and its password."""
    role = sql.Identifier(SERVING)
    with connection.transaction():
        connection.execute(sql.SQL("alter role {} login").format(role))
        if password is not None:
            verifier = connection.pgconn.encrypt_password(password.encode(), SERVING.encode(), b"scram-sha-256")
            connection.execute(sql.SQL("alter role {} password {}").format(role, verifier.decode()))
        connection.execute(sql.SQL("alter role {} reset all").format(role))
        for setting, value in _DEFAULTS.items():
            values = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
            connection.execute(sql.SQL("alter role {} set {} = {}").format(role, sql.Identifier(setting), values))


def _admit(connection: Connection) -> None:
    """Grant what the login may do beside reading the marts; see that it may connect, and make nothing of its own."""
    connection.execute("select ops.admit_serving()")
    # Lists are sorted, and figures of any days summed, by tables that the marts are made of; policies hold there too.
    connection.execute("grant usage on schema intermediate to xeno_serving")
    name = sql.Identifier(connection.info.dbname)
    for statement in (
        "revoke temporary on database {} from public",
        "revoke create on schema public from public",
        "grant connect on database {} to xeno_serving",
    ):
        connection.execute(sql.SQL(statement).format(name))
    row = connection.execute(
        f"""
        select has_database_privilege('{SERVING}', current_database(), 'connect')
        and not has_database_privilege('{SERVING}', current_database(), 'temporary')
        """
    ).fetchone()
    if row != (True,):
        text = name.as_string()
        raise RolesNotPermittedError(
            f"The database {text} is another role's: an administrator must run `revoke temporary on database {text} "
            f"from public; grant connect on database {text} to xeno_serving` first."
        )
