"""Connections to the marts that see nothing until a request's own secret unlocks some tenants.

Isolation is the database's work: the login `xeno_serving` has no rights of its own, and a policy shows it the rows of
those tenants alone that the transaction's secret unlocks. So a fault in a query, or in the code around it, shows nobody
more than they may see.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from xeno_pipeline.access.secret import is_secret, make_secret, secret_hash
from xeno_pipeline.database.connection import (
    Connection,
    Database,
    DatabaseUnavailableError,
    pin_formats,
    replica_database,
)
from xeno_pipeline.database.safe_messages import redact_row_values
from xeno_pipeline.database.serving import serving_url
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings

_Pool = ConnectionPool[psycopg.Connection[TupleRow]]

DEFAULT_TIMEOUT_SECONDS = 15
"""As long may a statement of a request take, unless it says otherwise."""

_CONNECTIONS = 10
_WAIT_SECONDS = 10.0
_TRUSTED_SECONDS = 1.0
"""So long is a connection taken for alive after its use: asking it would be half of what an unchanged answer costs."""
_HOW_TO_PREPARE = (
    "The login xeno_serving reads the marts: `xeno db migrate`, run by the database's owner with XENO_SERVING_PASSWORD "
    "set, makes it and gives it that password."
)
_UNLOCK = """
    select unlocked.kind, unlocked.subject_id, unlocked.name, unlocked.stores,
        set_config('search_path', 'serving, marts', true), set_config('statement_timeout', %s, true),
        set_config('row_security', 'on', true)
    from ops.unlock(%s) unlocked
    """


_GLANCE = """
    select unlocked.subject_id, unlocked.stores -> %(tenant_id)s, marts.transformed_at, segments.changed_at
    from ops.unlock(%(secret)s) unlocked
    left join lateral (
        select transformed_at from ops.tenant_marts where tenant_id = %(tenant_id)s and unlocked.kind is not null
    ) marts on true
    left join lateral (
        select max(changed_at) as changed_at from ops.segments
        where tenant_id = %(tenant_id)s and unlocked.kind is not null
    ) segments on true
    """
"""One statement for its own transaction. The policies are evaluated after `unlock`, the outer side of both joins."""


class NoAccessError(XenoError):
    """A secret unlocks nothing: it is unknown, was revoked, or has expired."""


@dataclass(frozen=True)
class Access:
    """Whose secret a transaction was unlocked by, and what it may do.

    Args:
        kind: of a program (`key`) or of somebody who signed in (`person`).
        name: the key's name, or the person's e-mail address.
        subject_id: identifies the key or the person, and tells nothing of them: `key-3`, `person-7`.
        stores: the scopes by active tenant. Those of suspended and removed tenants are not there.
    """

    kind: Literal["key", "person"]
    name: str = field(repr=False)
    subject_id: str
    stores: Mapping[str, frozenset[str]]

    def may(self, scope: str, tenant_id: str) -> bool:
        """Whether it has the scope in a tenant."""
        return scope in self.stores.get(tenant_id, frozenset())


@dataclass(frozen=True)
class Session:
    """A session that a sign-in link has opened.

    Args:
        secret: what the browser keeps; the database holds its hash.
        ends_at: when it stops to work.
    """

    secret: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True)
class Glance:
    """What can be said of a tenant before any mart is read.

    Args:
        scopes: what the secret may do there; empty where it sees no such tenant.
        made_at: when its marts were made; None: never.
        segments_changed_at: when a segment of its was last saved, changed or removed; None: never.
    """

    subject_id: str
    scopes: frozenset[str]
    made_at: datetime | None
    segments_changed_at: datetime | None


class ServingPool:
    """Connections of the login `xeno_serving`, shared by the threads of a process.

    Args:
        conninfo: libpq's connection string or URL; see `xeno_pipeline.database.serving.serving_url`.
        replica: the same of a replica, for what only reads.
        keeps_session: false where `conninfo` leads to a pooler.
        connections: how many may be open at once, to each of both.

    Raises:
        DatabaseUnavailableError: the login cannot connect.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        replica: str | None = None,
        keeps_session: bool = True,
        connections: int = _CONNECTIONS,
    ) -> None:
        self._used_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._pool = self._open_pool(Database(conninfo, keeps_session=keeps_session), connections)
        try:
            copy = None if replica is None else Database(replica, "XENO_REPLICA_URL")
            self._reading = self._pool if copy is None else self._open_pool(copy, connections)
        except BaseException:
            self._pool.close()
            raise
        self._used_on: dict[bytes, date] = {}

    def close(self) -> None:
        """Close all connections; requests that wait for one fail."""
        self._pool.close()
        self._reading.close()

    def check(self) -> None:
        """See that the database answers, and its replica.

        Raises:
            DatabaseUnavailableError, psycopg.Error: it does not.
        """
        for pool in {self._pool, self._reading}:
            with self._connection(pool) as connection:
                connection.execute("select")

    @contextmanager
    def unlocked(
        self, secret: str, *, writes: bool = False, timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    ) -> Iterator[tuple[Connection, Access]]:
        """A transaction in which the login sees what a secret unlocks. It commits at the end, or rolls back.

        Names without a schema are those of marts (`from dim_customers`); personal columns are null where the scope
        `people` is missing.

        Args:
            secret: of a key or a session.
            writes: whether the transaction may write what the login has privileges to.
            timeout_seconds: as long may one statement take; 0 is no limit.

        Raises:
            NoAccessError: the secret unlocks nothing.
            DatabaseUnavailableError: no connection is to be had.
        """
        if not is_secret(secret):
            raise _no_access()
        with ExitStack() as stack:
            if self._reading is self._pool or writes:
                yield stack.enter_context(self._unlocked(self._pool, secret, writes, timeout_seconds))
                return
            try:
                opened = stack.enter_context(self._unlocked(self._reading, secret, writes, timeout_seconds))
            except NoAccessError:  # the replica may not know yet whoever signed in a moment ago
                opened = stack.enter_context(self._unlocked(self._pool, secret, writes, timeout_seconds))
            yield opened

    def glances(self, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Glance]:
        """What secrets may do in tenants, and how fresh the marts are there: for requests that need no more.

        Args:
            asked: secrets, each with a tenant.

        Returns:
            A glance for each whose secret unlocks something.

        Raises:
            DatabaseUnavailableError: no connection is to be had.
        """
        found: dict[tuple[str, str], Glance] = {}
        with self._connection(self._reading) as connection:
            for secret, tenant_id in dict.fromkeys(asked):
                if not is_secret(secret):
                    continue
                row = connection.execute(_GLANCE, {"secret": secret, "tenant_id": tenant_id}).fetchone()
                if row is not None:
                    self._note_use(secret, connection)
                    found[secret, tenant_id] = Glance(row[0], frozenset(row[1] or ()), *row[2:])
        return found

    def sign_in(self, link: str) -> Session:
        """Open a session by the secret of a sign-in link, which is used up by that.

        Raises:
            NoAccessError: the link is unknown, was used, or is too old.
        """
        session = make_secret()
        if not is_secret(link):
            raise _no_link()
        with self._connection(self._pool) as connection, _transaction(connection, writes=True):
            row = connection.execute("select ops.sign_in(%s, %s)", [link, secret_hash(session)]).fetchone()
        if row is None or row[0] is None:
            raise _no_link()
        return Session(session, row[0])

    def sign_out(self, secret: str) -> bool:
        """End a session.

        Returns:
            Whether there was one; a key is none.
        """
        if not is_secret(secret):
            return False
        with self._connection(self._pool) as connection, _transaction(connection, writes=True):
            return connection.execute("select ops.sign_out(%s)", [secret]).fetchone() == (True,)

    @contextmanager
    def _unlocked(
        self, pool: _Pool, secret: str, writes: bool, timeout_seconds: int
    ) -> Iterator[tuple[Connection, Access]]:
        with self._connection(pool) as connection:
            self._note_use(secret, connection)
            with _transaction(connection, writes=writes):
                yield connection, _unlock(connection, secret, timeout_seconds)

    @contextmanager
    def _connection(self, pool: _Pool) -> Iterator[Connection]:
        """A connection for the length of a `with`. Database errors lose the values that they quote."""
        try:
            connection = pool.getconn()
        except PoolTimeout:
            raise DatabaseUnavailableError(
                f"No connection to the database was free within {_WAIT_SECONDS:.0f} seconds: it is down, or too many "
                "ask at once. Try again."
            ) from None
        try:
            with redact_row_values():
                yield connection
        finally:
            self._used_at[connection] = time.monotonic()
            pool.putconn(connection)

    def _open_pool(self, database: Database, connections: int) -> _Pool:
        # The first one apart: a pool tries again and again, and then says nothing but that it waited.
        with database.connect():
            pass
        return ConnectionPool(
            database.url,
            min_size=1,
            max_size=connections,
            timeout=_WAIT_SECONDS,
            kwargs={
                "autocommit": True,
                "connect_timeout": 10,
                "application_name": "xeno-serving",
                "prepare_threshold": database.prepare_threshold,
            },
            configure=pin_formats,
            check=self._check,
            open=True,
        )

    def _check(self, connection: Connection) -> None:
        """See that a connection which has not been used for a moment still is one."""
        if time.monotonic() - self._used_at.get(connection, 0) > _TRUSTED_SECONDS:
            ConnectionPool.check_connection(connection)

    def _note_use(self, secret: str, held: Connection) -> None:
        """Remember that the secret was used today, in a transaction of its own, which may write.

        Args:
            held: a connection that the caller has, which will do unless it is a replica's.
        """
        digest, today = secret_hash(secret), datetime.now(UTC).date()
        if self._used_on.get(digest) == today:
            return
        with ExitStack() as stack:
            is_main = self._reading is self._pool
            connection = held if is_main else stack.enter_context(self._connection(self._pool))
            stack.enter_context(_transaction(connection, writes=True))
            if connection.execute("select ops.note_use(%s)", [secret]).fetchone() != (True,):
                raise _no_access()
        self._used_on[digest] = today


def open_serving_pool(settings: Settings, *, connections: int = _CONNECTIONS) -> ServingPool:
    """The pool for the database of the settings. An embedded server is started, migrated, and the login made.

    Raises:
        UsageError: XENO_DATABASE_URL is not a PostgreSQL URL.
        XenoError: the database cannot be reached or was not prepared; the message says what is to be done.
    """
    if settings.database_url is None:
        from xeno_pipeline.database.migrate import open_migrated
        from xeno_pipeline.database.serving import prepare_serving

        prepare_serving(open_migrated(settings))
    conninfo, copy = serving_url(settings), replica_database(settings)
    replica = serving_url(settings, copy) if copy is not None else None
    keeps_session = settings.pooler_url is None
    try:
        with Database(conninfo, keeps_session=keeps_session).connect() as connection:
            connection.execute("select from ops.unlock('')")
    except DatabaseUnavailableError as error:
        raise DatabaseUnavailableError(f"{error} {_HOW_TO_PREPARE}") from error
    except (errors.UndefinedFunction, errors.InvalidSchemaName, errors.InsufficientPrivilege) as error:
        raise DatabaseUnavailableError(f"The database is not prepared for it. {_HOW_TO_PREPARE}") from error
    return ServingPool(conninfo, replica=replica, keeps_session=keeps_session, connections=connections)


def _unlock(connection: Connection, secret: str, timeout_seconds: int) -> Access:
    row = connection.execute(_UNLOCK, [f"{timeout_seconds}s", secret]).fetchone()
    if row is None:
        raise _no_access()
    kind, subject_id, name, stores = row[:4]
    return Access(kind, name, subject_id, {store: frozenset(scopes) for store, scopes in stores.items()})


@contextmanager
def _transaction(connection: Connection, *, writes: bool) -> Iterator[None]:
    connection.read_only = not writes
    with connection.transaction():
        yield


def _no_access() -> NoAccessError:
    return NoAccessError("The secret unlocks nothing: it is mistyped, was revoked, or has expired. Ask for a new one.")


def _no_link() -> NoAccessError:
    return NoAccessError("The link was used before, or is too old: `xeno insights invite` makes a new one.")
