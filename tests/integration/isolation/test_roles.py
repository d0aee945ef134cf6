"""The roles of BI tools come, change and go with their tenants, each in its own database."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors

from tests.support.database_roles import PLAIN, as_role
from tests.support.isolated_marts import MakeDatabase, Marts, session, tenants_seen
from tests.support.marked_rows import ATTACKER, VICTIM, fill, register
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import (
    RolesNotPermittedError,
    adopt_bi_roles,
    grant_bi_role,
    list_bi_roles,
    revoke_bi_role,
)
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.offboarding import remove_tenant

pytestmark = pytest.mark.thorough


def exists(database: Database, role: str) -> bool:
    with database.connect() as connection:
        return connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None


def test_asking_again_gives_the_same_role_another_password(marts: Marts) -> None:
    first = grant_bi_role(marts.owner, ATTACKER.tenant_id)
    second = grant_bi_role(marts.owner, ATTACKER.tenant_id)
    chosen = grant_bi_role(marts.owner, ATTACKER.tenant_id, "chosen")

    assert first.name == second.name == chosen.name
    assert len({first.password, second.password, chosen.password}) == 3
    assert chosen.password == "chosen"


def test_tools_have_roles_of_their_own_that_come_and_go_apart(make_marts: Callable[[str | None], Marts]) -> None:
    marts = make_marts(None)
    with marts.owner.connect() as connection:
        register(connection, ATTACKER)
        fill(connection, ATTACKER)
    plain = grant_bi_role(marts.owner, ATTACKER.tenant_id)
    tools = [grant_bi_role(marts.owner, ATTACKER.tenant_id, tool=tool) for tool in ("metabase", "superset", "metabase")]
    assert tools[0].name == tools[2].name
    names = {plain.name, *(role.name for role in tools)}
    assert len(names) == 3

    with marts.owner.connect() as connection:
        assert [role.tool for role in list_bi_roles(connection)] == ["bi", "metabase", "superset"]
        assert revoke_bi_role(connection, ATTACKER.tenant_id, tool="superset") is True
        assert revoke_bi_role(connection, ATTACKER.tenant_id, tool="superset") is False
    for role in (plain, tools[0]):
        with session(marts.login(role.name)) as tenant:
            assert tenants_seen(tenant) == {ATTACKER.tenant_id}

    with marts.owner.connect() as connection:
        registry.set_status(connection, ATTACKER.tenant_id, "suspended")
        assert [role.may_log_in for role in list_bi_roles(connection)] == [False, False]
        remove_tenant(connection, ATTACKER.tenant_id)
        assert list_bi_roles(connection) == []
    assert not any(exists(marts.owner, name) for name in names)


def test_an_open_session_sees_nothing_once_its_role_is_revoked(marts: Marts) -> None:
    for tenant_id in (ATTACKER.tenant_id, None):
        bi = marts.bi(tenant_id)
        with session(bi) as tenant:
            assert ATTACKER.tenant_id in tenants_seen(tenant)
            with marts.owner.connect() as connection:
                assert revoke_bi_role(connection, tenant_id) is True
                assert revoke_bi_role(connection, tenant_id) is False
            with pytest.raises(errors.InsufficientPrivilege):
                tenants_seen(tenant)
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(bi.url)


def test_a_role_that_made_something_of_its_own_is_revoked_all_the_same(marts: Marts) -> None:
    bi = marts.bi(ATTACKER.tenant_id)
    with session(bi) as tenant:
        tenant.execute("set default_transaction_read_only = off")
        tenant.execute("select lo_create(0)")
        with marts.owner.connect() as connection:
            assert revoke_bi_role(connection, ATTACKER.tenant_id) is True
        with pytest.raises(errors.InsufficientPrivilege):
            tenants_seen(tenant)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(bi.url)
    with marts.administrator.connect() as connection:
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


@pytest.mark.parametrize(
    "condition", ["ordered_on >= now() - interval '7 days'", "ordered_on > timestamp '2026-01-01 12:00'"]
)
def test_a_day_compared_with_an_instant_is_found_by_an_index_where_the_owner_may_allow_it(
    marts: Marts, condition: str
) -> None:
    """Only a superuser may mark operators as leakproof; where the owner is none, all is right, and slower."""
    with marts.owner.connect() as connection:
        row = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    with session(marts.bi(ATTACKER.tenant_id)) as tenant:
        tenant.execute("set enable_sort = off")  # few rows would be read anyhow
        query = f"select ordered_on from marts.fct_orders where {condition} order by tenant_id, ordered_on"
        plan = tenant.execute(f"explain {query}").fetchall()
    conditions = [line for (line,) in plan if "Index Cond" in line and "ordered_on" in line]
    assert (bool(conditions),) == row, plan


def test_a_suspended_tenants_role_neither_logs_in_nor_sees_anything_until_it_is_resumed(marts: Marts) -> None:
    bi = marts.bi(ATTACKER.tenant_id)
    with session(bi) as tenant:
        with marts.owner.connect() as connection:
            registry.set_status(connection, ATTACKER.tenant_id, "suspended")
        assert tenants_seen(tenant) == set()
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(bi.url)

        with marts.owner.connect() as connection:
            registry.set_status(connection, ATTACKER.tenant_id, "active")
        assert tenants_seen(tenant) == {ATTACKER.tenant_id}
        psycopg.connect(bi.url).close()


def test_the_planner_knows_the_tenant_and_a_plan_that_was_kept_asks_whether_it_may_be_seen(marts: Marts) -> None:
    with session(marts.bi(ATTACKER.tenant_id)) as tenant:
        plan = tenant.execute("explain select * from marts.fct_orders").fetchall()
        assert any(f"tenant_id = '{ATTACKER.tenant_id}'" in line for (line,) in plan), plan
        tenant.execute("set plan_cache_mode = force_generic_plan")
        tenant.execute("prepare seen as select distinct tenant_id from marts.fct_orders")
        mine = [(ATTACKER.tenant_id,)]
        for status, expected in [("active", mine), ("suspended", []), ("active", mine)]:
            with marts.owner.connect() as connection:
                registry.set_status(connection, ATTACKER.tenant_id, status)
            assert tenant.execute("execute seen").fetchall() == expected, status


def test_a_plan_of_a_time_when_nothing_was_to_be_seen_serves_once_it_is(marts: Marts) -> None:
    with session(marts.bi(ATTACKER.tenant_id)) as tenant:
        tenant.execute("set plan_cache_mode = force_generic_plan")
        for status, expected in [("suspended", []), ("active", [(ATTACKER.tenant_id,)])]:
            with marts.owner.connect() as connection:
                registry.set_status(connection, ATTACKER.tenant_id, status)
            if status == "suspended":
                tenant.execute("prepare later as select distinct tenant_id from marts.fct_orders")
            assert tenant.execute("execute later").fetchall() == expected


def test_the_role_of_a_removed_tenant_is_dropped(make_marts: Callable[[str | None], Marts]) -> None:
    marts = make_marts(None)
    with marts.owner.connect() as connection:
        register(connection, ATTACKER)
    role = grant_bi_role(marts.owner, ATTACKER.tenant_id)
    with marts.owner.connect() as connection:
        remove_tenant(connection, ATTACKER.tenant_id)

    with marts.owner.connect() as connection:
        assert connection.execute("select from pg_roles where rolname = %s", [role.name]).fetchone() is None
        assert connection.execute("select from ops.bi_roles").fetchone() is None


def test_databases_of_one_server_share_neither_roles_nor_groups(make_marts: Callable[[str | None], Marts]) -> None:
    one, other = make_marts(None), make_marts(None)
    for marts, tenant in ((one, ATTACKER), (other, ATTACKER), (other, VICTIM)):
        with marts.owner.connect() as connection:
            register(connection, tenant)
            fill(connection, tenant)
    role, operator = one.bi(ATTACKER.tenant_id), one.bi(None)
    assert other.bi(ATTACKER.tenant_id).url != role.url

    for stranger in (role, operator):
        with pytest.raises(errors.InsufficientPrivilege), session(in_database(stranger, other.owner)) as connection:
            tenants_seen(connection)


def test_in_a_copy_of_a_database_its_logins_are_bound_to_nobody_and_not_the_copys_to_drop(
    make_marts: Callable[[str | None], Marts], make_database: MakeDatabase
) -> None:
    marts = make_marts(None)
    with marts.owner.connect() as connection:
        register(connection, ATTACKER)
        fill(connection, ATTACKER)
    role = marts.bi(ATTACKER.tenant_id)
    with marts.owner.connect() as connection:
        original = connection.info.dbname

    copy = make_database(original)
    assert adopt_bi_roles(copy) == 0, "the original is there"

    with session(in_database(role, copy)) as connection:
        assert tenants_seen(connection) == set()
    with copy.connect() as connection:
        assert revoke_bi_role(connection, ATTACKER.tenant_id) is False
        remove_tenant(connection, ATTACKER.tenant_id)
    with session(role) as connection:
        assert tenants_seen(connection) == {ATTACKER.tenant_id}
    own = grant_bi_role(copy, None)
    assert exists(copy, own.name)


def in_database(login: Database, other: Database) -> Database:
    """Another database as a login sees it."""
    user = login.url.partition("//")[2].partition("@")[0]
    return Database(other.url.replace("postgresql://xeno@", f"postgresql://{user}@"))


def test_an_owner_that_may_not_create_roles_is_told_what_an_administrator_must_run(empty_database: Database) -> None:
    owner = as_role(empty_database, PLAIN, owner=True)
    migrate(owner)

    with pytest.raises(RolesNotPermittedError, match=r"must run `alter role \"plain\" createrole`"):
        grant_bi_role(owner, None)

    with empty_database.connect() as connection:
        connection.execute("alter role plain createrole")
    try:
        role = grant_bi_role(owner, None)
        with owner.connect() as connection:
            revoke_bi_role(connection, None)
    finally:
        with empty_database.connect() as connection:
            connection.execute("alter role plain nocreaterole")
    assert not exists(owner, role.name)


def test_an_owner_of_the_schemas_but_not_of_the_database_is_told_what_an_administrator_must_run(
    empty_database: Database,
) -> None:
    as_role(empty_database, "tenant_of_the_server", owner=False)
    with empty_database.connect() as connection:
        name = connection.info.dbname
        connection.execute("alter role tenant_of_the_server createrole")
        connection.execute(f"grant create on database {name} to tenant_of_the_server")
    owner = as_role(empty_database, "tenant_of_the_server")
    migrate(owner)

    with pytest.raises(
        RolesNotPermittedError, match=r"must run `revoke temporary on database .* from public; grant"
    ) as told:
        grant_bi_role(owner, None)

    with empty_database.connect() as connection:
        for statement in str(told.value).split("`")[1].split(";"):
            connection.execute(statement)
    assert exists(owner, grant_bi_role(owner, None).name)
