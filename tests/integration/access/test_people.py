"""People come by links, and go with their grants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support.marked_rows import Owner, register
from tests.support.serving import serving_pool
from xeno_pipeline.access.grants import end_sessions, invite, list_sessions, list_subjects, make_key, revoke
from xeno_pipeline.access.scopes import Role, Scope
from xeno_pipeline.access.serving import NoAccessError, ServingPool, Session
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import UsageError
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.offboarding import remove_tenant

SHORT_LIVED = Owner("ephemeral", "ephemeral", 400400, 2400)
STAYING = Owner("staying", "staying", 500500, 2500)


@pytest.fixture(scope="module")
def access(make_database: Callable[[], Database]) -> Database:
    """A database for this module: access needs no marts."""
    return make_database()


@pytest.fixture(scope="module")
def pool(access: Database) -> Iterator[ServingPool]:
    with serving_pool(access) as opened:
        yield opened


@pytest.fixture
def store(access: Database) -> str:
    """A store that the test may remove."""
    with access.connect() as connection:
        for owner in (SHORT_LIVED, STAYING):
            if registry.find(connection, owner.tenant_id) is None:
                register(connection, owner)
    return SHORT_LIVED.tenant_id


def names(connection: Connection) -> set[str]:
    return {subject.name for subject in list_subjects(connection)}


def test_a_link_that_several_open_at_once_signs_in_one_of_them(access: Database, pool: ServingPool, store: str) -> None:
    with access.connect() as connection:
        link = invite(connection, "many@example.com", [store], Role.VIEWER).secret

    def sign_in(_: int) -> Session | None:
        try:
            return pool.sign_in(link)
        except NoAccessError:
            return None

    with ThreadPoolExecutor(4) as threads:
        opened = [session for session in threads.map(sign_in, range(12)) if session]
    assert len(opened) == 1
    with access.connect() as connection:
        assert len([each for each in list_sessions(connection) if each.email == "many@example.com"]) == 1
        revoke(connection, "many@example.com")


def test_a_link_that_is_too_old_signs_nobody_in(access: Database, pool: ServingPool, store: str) -> None:
    with access.connect() as connection:
        link = invite(connection, "late@example.com", [store], Role.VIEWER).secret
        connection.execute("update ops.sign_in_links set expires_at = now()")
    with pytest.raises(NoAccessError):
        pool.sign_in(link)
    with access.connect() as connection:
        assert [subject.has_link for subject in list_subjects(connection) if subject.is_person] == [False]
        revoke(connection, "late@example.com")


def test_who_signs_out_is_out_in_that_browser_alone(access: Database, pool: ServingPool, store: str) -> None:
    sessions = []
    for _ in range(2):
        with access.connect() as connection:
            link = invite(connection, "two@example.com", [store], Role.OPERATOR).secret
        sessions.append(pool.sign_in(link).secret)
    assert pool.sign_out(sessions[0]) is True
    assert pool.sign_out(sessions[0]) is False
    with pytest.raises(NoAccessError), pool.unlocked(sessions[0]):
        pass
    with pool.unlocked(sessions[1]) as (_, found):
        assert found.stores == {store: set(Scope)}
    with access.connect() as connection:
        noted = connection.execute(
            "select action, tenant_id from ops.audit_log where action like 'signed %%' order by id"
        ).fetchall()
        assert noted[-3:] == [("signed in", store)] * 2 + [("signed out", store)]
        assert end_sessions(connection, "two@example.com") == 1
    with pytest.raises(NoAccessError), pool.unlocked(sessions[1]):
        pass
    with access.connect() as connection:
        revoke(connection, "two@example.com")


def test_a_key_is_no_session(access: Database, pool: ServingPool, store: str) -> None:
    with access.connect() as connection:
        secret = make_key(connection, "no-session", [store])
    assert pool.sign_out(secret) is False
    with pool.unlocked(secret) as (_, found):
        assert found.name == "no-session"
    with access.connect() as connection:
        with pytest.raises(UsageError, match="is a key, which has no sessions"):
            end_sessions(connection, "no-session")
        revoke(connection, "no-session")


def test_an_expired_session_unlocks_nothing(access: Database, pool: ServingPool, store: str) -> None:
    with access.connect() as connection:
        link = invite(connection, "gone@example.com", [store], Role.VIEWER).secret
    session = pool.sign_in(link)
    with access.connect() as connection:
        connection.execute("update ops.access_keys set expires_at = now() where person_id is not null")
        assert list_sessions(connection) == []
    with pytest.raises(NoAccessError), pool.unlocked(session.secret):
        pass
    with access.connect() as connection:
        assert [subject.sessions for subject in list_subjects(connection) if subject.is_person] == [0]
        revoke(connection, "gone@example.com")


def test_with_a_removed_store_go_its_grants_and_who_has_no_other(
    access: Database, pool: ServingPool, store: str
) -> None:
    with access.connect() as connection:
        only, both = make_key(connection, "only", [store]), make_key(connection, "both", [store, STAYING.tenant_id])
        everywhere = make_key(connection, "everywhere", None)
        link = invite(connection, "only@example.com", [store], Role.ANALYST).secret
        invite(connection, "both@example.com", [store, STAYING.tenant_id], Role.ANALYST)
    session = pool.sign_in(link).secret

    with access.connect() as connection:
        remove_tenant(connection, store)
        assert names(connection) & {"only", "only@example.com"} == set()
        assert names(connection) >= {"both", "everywhere", "both@example.com"}
    for secret in (only, session):
        with pytest.raises(NoAccessError), pool.unlocked(secret):
            pass
    for secret in (both, everywhere):
        with pool.unlocked(secret) as (_, found):
            assert store not in found.stores
            assert STAYING.tenant_id in found.stores

    with access.connect() as connection:
        register(connection, SHORT_LIVED)
    with pool.unlocked(both) as (_, found):
        assert store not in found.stores, "who may see a store that came back is said anew"
    with access.connect() as connection:
        for name in ("both", "everywhere", "both@example.com"):
            revoke(connection, name)


def test_a_person_who_loses_the_last_store_is_forgotten(access: Database, store: str) -> None:
    with access.connect() as connection:
        invite(connection, "last@example.com", [store], Role.VIEWER)
        assert revoke(connection, "last@example.com", [store]) is True
        assert "last@example.com" not in names(connection)
        assert connection.execute("select count(*) from ops.people where email ~ '^last@'").fetchone() == (0,)


def test_the_log_names_nobody(access: Database, store: str) -> None:
    with access.connect() as connection:
        invite(connection, "secretive@example.com", None, Role.VIEWER)
        revoke(connection, "secretive@example.com")
        rows = connection.execute(
            "select tenant_id, action, reason from ops.audit_log order by id desc limit 2"
        ).fetchall()
    assert [row[:2] for row in rows] == [(None, "access revoked"), (None, "person invited")]
    assert "secretive" not in str(rows)


@pytest.mark.parametrize(
    "email", ["", "@", "a@", "@b", "a b@c", "a@b\nc", "a@b@c", "\x00@b", "\ud800@b", "a@" + "b" * 300, "a" * 100 + "@b"]
)
def test_what_is_no_address_is_refused(access: Database, store: str, email: str) -> None:
    with access.connect() as connection, pytest.raises(UsageError, match="is no e-mail address"):
        invite(connection, email, [store], Role.VIEWER)


@pytest.mark.parametrize("lifetime", [timedelta(days=0), timedelta(days=-36_500)])
def test_a_key_without_a_lifetime_is_over_at_once(
    access: Database, pool: ServingPool, store: str, lifetime: timedelta
) -> None:
    with access.connect() as connection:
        secret = make_key(connection, "over", [store], lifetime=lifetime)
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass
    with access.connect() as connection:
        revoke(connection, "over")


def test_two_databases_of_a_server_share_the_login_and_no_secret(
    make_database: Callable[[], Database], access: Database, pool: ServingPool, store: str
) -> None:
    other = make_database()
    with other.connect() as connection:
        register(connection, STAYING)
        secret = make_key(connection, "elsewhere", None)
    with serving_pool(other, connections=1) as others, others.unlocked(secret) as (_, found):
        assert set(found.stores) == {STAYING.tenant_id}
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass
