"""A secret unlocks its own tenants for one transaction, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg import errors

from tests.support.marked_rows import ATTACKER, BYSTANDER, VICTIM
from tests.support.serving import key_for
from xeno_pipeline.access.grants import invite, make_key, revoke
from xeno_pipeline.access.scopes import Role, Scope
from xeno_pipeline.access.secret import make_secret
from xeno_pipeline.access.serving import NoAccessError, ServingPool
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.tenants import registry

ONE, OTHER, THE_THIRD = ATTACKER.tenant_id, VICTIM.tenant_id, BYSTANDER.tenant_id


def seen(connection: Connection, relation: str = "dim_customers") -> set[str]:
    return {store for (store,) in connection.execute(f"select distinct tenant_id from {relation}").fetchall()}


def test_a_key_unlocks_its_store_and_says_what_it_may_do(shared: Database, pool: ServingPool) -> None:
    with pool.unlocked(key_for(shared, [ONE], Scope.SEGMENTS)) as (connection, access):
        assert seen(connection) == seen(connection, "fct_orders") == seen(connection, "revenue_daily") == {ONE}
    assert access.stores == {ONE: {"read", "segments"}}
    assert access.kind == "key"
    assert access.name.startswith("key-")
    assert access.may("segments", ONE)
    assert not access.may("people", ONE)
    assert not access.may("read", OTHER)


def test_a_key_of_two_stores_unlocks_both_and_no_third(shared: Database, pool: ServingPool) -> None:
    with pool.unlocked(key_for(shared, [ONE, OTHER])) as (connection, _):
        assert seen(connection) == {ONE, OTHER}


def test_a_key_of_all_stores_unlocks_each_but_a_grant_of_its_own_has_precedence(
    shared: Database, pool: ServingPool
) -> None:
    with shared.connect() as connection:
        invite(connection, "ada@example.com", None, Role.ANALYST)
        link = invite(connection, "ada@example.com", [ONE], Role.VIEWER).secret
    with pool.unlocked(pool.sign_in(link).secret) as (connection, access):
        assert seen(connection) == {ONE, OTHER, THE_THIRD}
        emails = dict(connection.execute("select tenant_id, max(email) from dim_customers group by 1").fetchall())
    assert access.stores[ONE] == set(Role.VIEWER.scopes)
    assert access.stores[THE_THIRD] == set(Role.ANALYST.scopes)
    assert emails[ONE] is None
    assert emails[THE_THIRD].startswith("zebra")


def test_people_are_seen_only_with_the_scope_and_only_in_the_stores_that_have_it(
    shared: Database, pool: ServingPool
) -> None:
    for relation in ("dim_customers", "top_customers", "abandoned_checkouts"):
        query = f"select count(*), count(email) from {relation}"
        with pool.unlocked(key_for(shared, [ONE])) as (connection, _):
            row = connection.execute(query).fetchone()
            assert row is not None
            assert row[0] > 0, relation
            assert row[1] == 0, relation
        with pool.unlocked(key_for(shared, [ONE], Scope.PEOPLE)) as (connection, _):
            row = connection.execute(query).fetchone()
            assert row is not None
            assert row[0] == row[1] > 0, relation


def test_nothing_is_unlocked_after_the_transaction_or_for_another_one(shared: Database, pool: ServingPool) -> None:
    secret = key_for(shared, [ONE])
    with pool.unlocked(secret) as (connection, _):
        assert seen(connection) == {ONE}
    assert connection.execute("select count(*) from marts.fct_orders").fetchone() == (0,)

    with pytest.raises(errors.DivisionByZero), pool.unlocked(secret) as (connection, _):
        connection.execute("select 1 / count(*) from fct_orders where false")
    assert connection.execute("select count(*) from marts.fct_orders").fetchone() == (0,)


@pytest.mark.parametrize(
    "secret",
    ["", "xeno_", ONE, "xeno_" + "0" * 49, "\x00", "ü" * 49, pytest.param(make_secret() + "\n", id="with a new line")],
)
def test_what_is_no_secret_is_refused_without_a_query(pool: ServingPool, secret: str) -> None:
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass


def test_an_unknown_secret_unlocks_nothing(pool: ServingPool) -> None:
    with pytest.raises(NoAccessError), pool.unlocked(make_secret()):
        pass


def test_an_expired_key_unlocks_nothing(shared: Database, pool: ServingPool) -> None:
    with shared.connect() as connection:
        secret = make_key(connection, "expired", [ONE], lifetime=timedelta(seconds=-1))
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass


def test_a_revoked_key_ends_with_the_next_request(shared: Database, pool: ServingPool) -> None:
    with shared.connect() as connection:
        secret = make_key(connection, "to-go", [ONE, OTHER])
    with pool.unlocked(secret) as (connection, _):
        assert seen(connection) == {ONE, OTHER}
    with shared.connect() as connection:
        assert revoke(connection, "to-go", [ONE]) is False
    with pool.unlocked(secret) as (connection, access):
        assert seen(connection) == {OTHER} == set(access.stores)
    with shared.connect() as connection:
        assert revoke(connection, "to-go") is True
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass


def test_a_suspended_store_is_not_there_until_it_is_resumed(shared: Database, pool: ServingPool) -> None:
    secret = key_for(shared, None)
    with shared.connect() as connection:
        registry.set_status(connection, ONE, "suspended")
    try:
        with pool.unlocked(secret) as (connection, access):
            assert seen(connection) == {OTHER, THE_THIRD} == set(access.stores)
    finally:
        with shared.connect() as connection:
            registry.set_status(connection, ONE, "active")
    with pool.unlocked(secret) as (connection, _):
        assert ONE in seen(connection)


def test_the_last_use_is_remembered_once_a_day(shared: Database, pool: ServingPool) -> None:
    with shared.connect() as connection:
        secret = make_key(connection, "used", [ONE])

    def used() -> object:
        with shared.connect() as connection:
            query = (
                "select last_used_on = (now() at time zone 'UTC')::date, xmin from ops.access_keys where name = 'used'"
            )
            return connection.execute(query).fetchone()

    assert used() == (None, used()[1])  # type: ignore[index]
    versions = []
    for _ in range(3):
        with pool.unlocked(secret):
            pass
        versions.append(used())
    assert versions[0] == versions[1] == versions[2]
    assert versions[0][0] is True  # type: ignore[index]


def test_a_transaction_reads_only_unless_it_says_otherwise(shared: Database, pool: ServingPool) -> None:
    secret = key_for(shared, [ONE])
    for writes, shown in ((False, "on"), (True, "off")):
        with pool.unlocked(secret, writes=writes) as (connection, _):
            assert connection.execute("show transaction_read_only").fetchone() == (shown,)


def test_a_statement_takes_no_longer_than_it_may(shared: Database, pool: ServingPool) -> None:
    with (
        pytest.raises(errors.QueryCanceled),
        pool.unlocked(key_for(shared, [ONE]), timeout_seconds=1) as (connection, _),
    ):
        connection.execute("select pg_sleep(20)")
