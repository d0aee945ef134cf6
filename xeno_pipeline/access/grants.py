"""People and keys, and what each may do in which store.

All of it is the owner's to change. The audit log of each store that it concerns has what was changed, without names
of people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from xeno_pipeline.access.scopes import Role, Scope
from xeno_pipeline.access.secret import make_secret, secret_hash
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.tenants import audit, registry

LINK_LIFETIME = timedelta(days=7)
"""As long does a sign-in link work."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_SESSION = re.compile(r"session-([0-9]{1,18})")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\x7f\ud800-\udfff]{1,190}")


class UnknownSubjectError(UsageError):
    """Nobody and no key has this name."""


@dataclass(frozen=True)
class Grant:
    """What somebody may do.

    Args:
        tenant_id: where; None: in all stores, those to come included, but those with a grant of their own.
        scopes: what.
        role: the name of these scopes; None for a key.
    """

    tenant_id: str | None
    scopes: Sequence[str]
    role: str | None


@dataclass(frozen=True)
class Subject:
    """A person or a key.

    Args:
        name: the e-mail address, or the key's name.
        is_person: which of the two.
        sessions: in how many browsers the person is signed in.
        has_link: whether a link was made that was not opened yet and still works.
        last_used_on: a day in UTC; None: never, or for a person in none of the open sessions.
        expires_at: when the key stops to work; None: never, as for a person.
    """

    subject_id: str
    name: str
    is_person: bool
    grants: Sequence[Grant]
    sessions: int
    has_link: bool
    created_at: datetime
    last_used_on: date | None
    expires_at: datetime | None


@dataclass(frozen=True)
class OpenSession:
    """A browser in which somebody is signed in.

    Args:
        name: by which it is ended.
        email: whose it is.
    """

    name: str
    email: str
    created_at: datetime
    last_used_on: date | None
    expires_at: datetime


@dataclass(frozen=True)
class Invitation:
    """A person's new sign-in link.

    Args:
        secret: what the link ends with; the database holds its hash.
        is_new: whether the person was not known before.
    """

    secret: str = field(repr=False)
    is_new: bool


def invite(connection: Connection, email: str, stores: Sequence[str] | None, role: Role) -> Invitation:
    """Give a person a role in stores, and make a sign-in link; earlier links of theirs stop to work.

    Args:
        connection: not in autocommit mode.
        stores: handles of tenants; None: all. Roles in other stores stay as they are.

    Raises:
        UsageError: the address is none, or a store is unknown.
    """
    email = check_email(email)
    _check_stores(connection, stores)
    row = connection.execute(
        """
        insert into ops.people (email) values (%s)
        on conflict (email) do update set email = excluded.email
        returning person_id, xmax = 0
        """,
        [email],
    ).fetchone()
    assert row is not None
    person_id, is_new = row
    _grant(connection, "person_id", person_id, stores, role.scopes, role)
    secret = make_secret()
    connection.execute("delete from ops.sign_in_links where person_id = %s", [person_id])
    connection.execute(
        "insert into ops.sign_in_links (secret_hash, person_id, expires_at) values (%s, %s, now() + %s)",
        [secret_hash(secret), person_id, LINK_LIFETIME],
    )
    _record(connection, stores, "person invited", f"person-{person_id} as {role}")
    return Invitation(secret, is_new)


def make_key(
    connection: Connection,
    name: str,
    stores: Sequence[str] | None,
    scopes: Iterable[Scope] = (Scope.READ,),
    lifetime: timedelta | None = None,
) -> str:
    """Make a key for a program.

    Args:
        connection: not in autocommit mode.
        name: lower-case letters, digits, dots, hyphens and underscores, by which it is revoked.
        stores: handles of tenants; None: all.
        lifetime: None: it does not expire.

    Returns:
        The secret, which cannot be read again.

    Raises:
        UsageError: the name is taken or none, or a store is unknown.
    """
    if _NAME.fullmatch(name) is None or _SESSION.fullmatch(name) is not None:
        raise UsageError(
            f"{name!r} is no name for a key: lower-case letters, digits, dots, hyphens and underscores, at most 60, "
            "and not that of a session."
        )
    _check_stores(connection, stores)
    secret, scopes = make_secret(), tuple(scopes)
    row = connection.execute(
        """
        insert into ops.access_keys (secret_hash, name, expires_at) values (%s, %s, now() + %s)
        on conflict (name) do nothing
        returning key_id
        """,
        [secret_hash(secret), name, lifetime],
    ).fetchone()
    if row is None:
        raise UsageError(
            f"There is a key {name!r} already: `xeno insights revoke {name}` ends it; or choose another name."
        )
    _grant(connection, "key_id", row[0], stores, scopes, None)
    _record(connection, stores, "key made", f"{name} with {', '.join(scopes)}")
    return secret


def revoke(connection: Connection, name: str, stores: Sequence[str] = ()) -> bool:
    """End the access of a person or a key, in some stores or altogether, with their next request.

    Args:
        connection: not in autocommit mode.
        name: an e-mail address, or a key's name.
        stores: handles; without them, everything ends, sessions and links too.

    Returns:
        Whether the person or key is forgotten, having no grant left.

    Raises:
        UnknownSubjectError: there is none of that name, or it has no grant for a store.
    """
    column, number = _find(connection, name)
    label = name if column == "key_id" else f"person-{number}"
    held = _held(connection, column, number)
    missing = [store for store in stores if store not in held]
    if missing:
        raise UnknownSubjectError(
            f"{name} has no grant of its own for {', '.join(missing)}: `xeno insights list` shows what there is."
        )
    ended = list(dict.fromkeys(stores)) or held
    if None in held and not stores:
        _record(connection, None, "access revoked", label)
    _record(connection, [store for store in ended if store is not None], "access revoked", label)
    connection.execute(
        f"delete from ops.access_grants where {column} = %s and (tenant_id = any(%s) or %s)",
        [number, list(stores), not stores],
    )
    return len(ended) == len(held)


def end_sessions(connection: Connection, name: str) -> int:
    """Sign a person out, everywhere or in one browser; what they may do stays.

    Args:
        connection: not in autocommit mode.
        name: an e-mail address, whose unopened links stop to work too; or a session's name.

    Returns:
        The number of sessions.

    Raises:
        UnknownSubjectError: nobody and no session has that name.
    """
    session = _SESSION.fullmatch(name)
    if session is None:
        column, number = _find(connection, name)
        if column != "person_id":
            raise UnknownSubjectError(
                f"{name!r} is a key, which has no sessions: `xeno insights revoke {name}` ends it."
            )
        connection.execute("delete from ops.sign_in_links where person_id = %s", [number])
        ended = connection.execute("delete from ops.access_keys where person_id = %s", [number]).rowcount
    else:
        row = connection.execute(
            "delete from ops.access_keys where key_id = %s and person_id is not null returning person_id",
            [int(session.group(1))],
        ).fetchone()
        if row is None:
            raise UnknownSubjectError(f"There is no {name}: `xeno insights list` shows the open sessions.")
        number, ended = row[0], 1
    stores = _held(connection, "person_id", number)
    named = [store for store in stores if store is not None]
    _record(connection, None if None in stores else named, "signed out", f"person-{number}, {ended} sessions")
    return ended


def is_session(name: str) -> bool:
    """Whether a name is one of sessions, which no person and no key has."""
    return _SESSION.fullmatch(name) is not None


def list_sessions(connection: Connection) -> list[OpenSession]:
    """All sessions that have not ended, by person, the newest first."""
    rows = connection.execute(
        """
        select 'session-' || key_id, email, keys.created_at, last_used_on, expires_at
        from ops.access_keys keys join ops.people using (person_id)
        where expires_at > now()
        order by email, keys.created_at desc
        """
    ).fetchall()
    return [OpenSession(*row) for row in rows]


def list_subjects(connection: Connection) -> list[Subject]:
    """All people and keys, people first, by name."""
    grants: dict[str, list[Grant]] = {}
    for subject_id, *grant in connection.execute(
        """
        select coalesce('key-' || key_id, 'person-' || person_id), tenant_id, scopes, role
        from ops.access_grants order by tenant_id nulls first
        """
    ):
        grants.setdefault(subject_id, []).append(Grant(*grant))
    rows: list[tuple[Any, ...]] = connection.execute(
        """
        select
            'person-' || person_id, email, true, count(sessions.key_id),
            exists (
                select from ops.sign_in_links links
                where links.person_id = people.person_id and links.expires_at > now()
            ),
            people.created_at, max(last_used_on), null
        from ops.people
        left join (select * from ops.access_keys where expires_at > now()) sessions using (person_id)
        group by person_id
        union all
        select 'key-' || key_id, name, false, 0, false, created_at, last_used_on, expires_at
        from ops.access_keys where person_id is null
        order by 3 desc, 2
        """
    ).fetchall()
    return [Subject(row[0], row[1], row[2], grants.get(row[0], []), *row[3:]) for row in rows]


def check_email(text: str) -> str:
    """An e-mail address in lower case.

    Raises:
        UsageError: it is none.
    """
    email = text.strip().lower()
    if _EMAIL.fullmatch(email) is None:
        raise UsageError(f"{text!r} is no e-mail address: write it like ada@example.com.")
    return email


def _check_stores(connection: Connection, stores: Sequence[str] | None) -> None:
    if stores is not None and not stores:
        raise UsageError("Name the stores, or give --all for all of them, those to come included.")
    for store in stores or ():
        registry.get(connection, store)


def _grant(
    connection: Connection,
    column: str,
    number: int,
    stores: Sequence[str] | None,
    scopes: Sequence[Scope],
    role: Role | None,
) -> None:
    for store in [None] if stores is None else dict.fromkeys(stores):
        connection.execute(
            f"""
            insert into ops.access_grants ({column}, tenant_id, role, scopes) values (%s, %s, %s, %s)
            on conflict (person_id, key_id, tenant_id) do update set role = excluded.role, scopes = excluded.scopes
            """,
            [number, store, role, list(scopes)],
        )


def _find(connection: Connection, name: str) -> tuple[str, int]:
    """The column and the number by which grants name a person or a key; the subject is locked."""
    for column, query in (
        ("key_id", "select key_id from ops.access_keys where name = %s for update"),
        ("person_id", "select person_id from ops.people where email = %s for update"),
    ):
        row = connection.execute(query, [name.strip().lower()]).fetchone()
        if row is not None:
            return column, row[0]
    raise UnknownSubjectError(f"There is nobody and no key named {name!r}: `xeno insights list` shows all of them.")


def _held(connection: Connection, column: str, number: int) -> list[str | None]:
    query = f"select tenant_id from ops.access_grants where {column} = %s order by tenant_id nulls first"
    return [store for (store,) in connection.execute(query, [number]).fetchall()]


def _record(connection: Connection, stores: Sequence[str] | None, action: str, reason: str) -> None:
    """Record it for each store that it concerns; once where it concerns all (None)."""
    for store in [None] if stores is None else dict.fromkeys(stores):
        audit.record(connection, store, action, reason)
