"""What a tenant may read is secured, and a login is bound to its tenant by what only the owner writes."""

from __future__ import annotations

import pytest
from psycopg import errors, sql

from tests.support.isolated_marts import CUSTOMERS, TENANTS_READ, Marts, session, tenants_seen
from tests.support.marked_rows import ATTACKER, VICTIM
from xeno_pipeline.database.connection import Database
from xeno_pipeline.marts.dbt import NO_TENANTS

pytestmark = pytest.mark.thorough


def test_every_table_has_forced_row_security_and_every_view_runs_as_who_asks(marts: Marts, attacker: Database) -> None:
    with session(marts.owner) as connection:
        found = connection.execute(
            """
            select oid::regclass::text, relkind, relrowsecurity and relforcerowsecurity,
                coalesce('security_invoker=true' = any(reloptions), false),
                array(
                    select polname || ' ' || polcmd::text from pg_policy
                    where polrelid = pg_class.oid and polname <> 'serving_segments' order by 1
                )
            from pg_class
            where relkind not in ('i', 't')
            and (
                relnamespace = 'marts'::regnamespace
                or relnamespace = 'intermediate'::regnamespace and relkind <> 'v'
            )
            """
        ).fetchall()
    policies = ["operator r", "owner *", "serving r", "tenant r"]
    secured = {"r": (True, False, policies), "v": (False, True, [])}
    assert {name: state for name, kind, *state in found if tuple(state) != secured.get(kind)} == {}
    assert len(found) >= 10
    with session(marts.owner) as connection:
        restricted = "select polrelid::regclass::text from pg_policy where polname = 'serving_segments' order by 1"
        found = connection.execute(restricted).fetchall()
    assert found == [("intermediate.int_segments",), ("marts.segment_history",)]


def test_what_is_put_there_by_hand_is_nobody_elses_until_it_is_secured(marts: Marts, attacker: Database) -> None:
    with session(marts.owner) as connection, session(attacker) as tenant:
        connection.execute("create table marts.by_hand as select * from raw.customers")
        connection.execute("create view marts.view_by_hand as select * from raw.customers")
        try:
            for relation in ("by_hand", "view_by_hand"):
                with pytest.raises(errors.InsufficientPrivilege):
                    tenant.execute(f"select * from marts.{relation}")
            connection.execute("select ops.secure('marts.by_hand'), ops.secure('marts.view_by_hand')")
            assert tenant.execute("select distinct tenant_id from marts.by_hand").fetchall() == [(ATTACKER.tenant_id,)]
            with pytest.raises(errors.InsufficientPrivilege):
                tenant.execute("select * from marts.view_by_hand")
        finally:
            connection.execute("drop table marts.by_hand")
            connection.execute("drop view marts.view_by_hand")


def test_a_materialized_view_is_refused_as_nothing_could_secure_it(marts: Marts) -> None:
    with session(marts.owner) as connection:
        connection.execute("create materialized view marts.frozen as select * from raw.customers")
        try:
            with pytest.raises(errors.RaiseException, match="row-level security knows nothing else"):
                connection.execute("select ops.secure('marts.frozen')")
        finally:
            connection.execute("drop materialized view marts.frozen")


def test_securing_what_is_secured_takes_no_lock(marts: Marts) -> None:
    marts.bi(ATTACKER.tenant_id)
    with session(marts.owner) as reading, session(marts.owner) as securing, reading.transaction():
        reading.execute("select from marts.fct_orders")
        securing.execute("set lock_timeout = '2s'")
        for relation in marts.relations(*TENANTS_READ):
            securing.execute("select ops.secure(%s::regclass)", [relation])


def test_what_is_lost_of_it_dbt_restores(marts: Marts, attacker: Database) -> None:
    with session(marts.owner) as connection:
        connection.execute("alter table marts.fct_orders no force row level security, disable row level security")
        connection.execute("drop policy tenant on marts.fct_orders")
        connection.execute("revoke select on marts.fct_orders from public")

    marts.project.invoke(["run", "--select", "fct_orders"], transform_id=NO_TENANTS)

    with session(attacker) as tenant:
        seen = tenant.execute("select distinct tenant_id from marts.fct_orders").fetchall()
    assert seen == [(ATTACKER.tenant_id,)]


def test_a_login_is_bound_whatever_role_it_takes_on(marts: Marts, attacker: Database) -> None:
    with session(attacker) as connection:
        row = connection.execute(
            "select rolname from pg_roles where rolname like 'xeno_tenants_%%' and pg_has_role(oid, 'member')"
        ).fetchone()
        assert row is not None
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(row[0])))
        assert tenants_seen(connection) == {ATTACKER.tenant_id}


def test_who_only_takes_on_a_tenants_role_sees_nothing(marts: Marts, attacker: Database) -> None:
    """A pool that logs in once and takes on roles is bound to no tenant: each tenant needs a login of its own."""
    role = attacker.url.partition("//")[2].partition("@")[0]
    with session(marts.administrator) as connection:
        connection.execute(f"set role {role}")
        assert tenants_seen(connection) == set()
        connection.execute("reset role")
        connection.execute(f"set session authorization {role}")
        assert tenants_seen(connection) == {ATTACKER.tenant_id}


def test_a_plan_made_for_one_tenant_serves_the_next_its_own_rows(marts: Marts) -> None:
    """A superuser's pool may hand a session on: what was prepared in it is bound anew."""
    roles = [marts.bi(t.tenant_id).url.partition("//")[2].partition("@")[0] for t in (ATTACKER, VICTIM)]
    with session(marts.administrator) as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute(f"prepare p as {CUSTOMERS}")
        seen = []
        for role in roles * 2:
            connection.execute(f"set session authorization {role}")
            seen.append({row[0] for row in connection.execute("execute p").fetchall()})
            connection.execute("reset session authorization")
    assert seen == [{ATTACKER.tenant_id}, {VICTIM.tenant_id}] * 2


def test_a_role_without_a_binding_sees_nothing(marts: Marts) -> None:
    with session(marts.administrator) as connection:
        connection.execute("drop role if exists unbound")
        connection.execute("create role unbound login")
        row = connection.execute("select ops.bi_group('tenants')").fetchone()
        assert row is not None
        connection.execute(f"grant {row[0]} to unbound")
        with session(marts.login("unbound")) as tenant:
            assert tenants_seen(tenant) == set()
        connection.execute("drop role unbound")
