"""A tenant's BI role, in the hands of somebody who tries everything, brings no value of another tenant to light."""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.support.attacks import (
    ESCAPES,
    MINE,
    ON_THE_DATABASE,
    OTHERWISE,
    READING,
    Listener,
    assert_silent,
    everything,
)
from tests.support.isolated_marts import TENANTS_READ, Marts, session
from tests.support.marked_rows import ROWS, VICTIM
from xeno_pipeline.database.connection import Database

INTERMEDIATE_VIEWS = {"intermediate.int_orders", "intermediate.int_sales"}


def test_a_tenant_reads_exactly_its_own_rows_of_every_table_and_view(marts: Marts, attacker: Database) -> None:
    tables = 0
    with session(attacker) as mine, session(marts.owner) as owners:
        for relation in marts.relations(*TENANTS_READ):
            own = owners.execute(f"select * from {relation} r where tenant_id = %s order by r::text", [MINE]).fetchall()
            assert mine.execute(f"select * from {relation} r order by r::text").fetchall() == own, relation
            tables += len(own) == ROWS
    assert tables >= 5


def test_the_tables_under_the_views_show_a_tenant_its_own_rows_even_where_their_schema_is_opened(
    marts: Marts, attacker: Database, names: dict[str, str]
) -> None:
    with session(attacker) as mine, session(marts.owner) as owners:
        owners.execute(f"grant usage on schema intermediate to {names['tenants']}")
        try:
            for relation in set(marts.relations("intermediate")) - INTERMEDIATE_VIEWS:
                own = f"select * from {relation} r where tenant_id = %s order by r::text"
                seen = mine.execute(f"select * from {relation} r order by r::text").fetchall()
                assert seen == owners.execute(own, [MINE]).fetchall() != [], relation
            for view in INTERMEDIATE_VIEWS:
                with pytest.raises(errors.InsufficientPrivilege):
                    mine.execute(f"select * from {view}")
        finally:
            owners.execute(f"revoke usage on schema intermediate from {names['tenants']}")


def test_an_operator_reads_the_rows_of_all_tenants(marts: Marts) -> None:
    with session(marts.bi(None)) as operators, session(marts.owner) as owners:
        for relation in marts.relations(*TENANTS_READ):
            query = f"select * from {relation} r order by r::text"
            assert operators.execute(query).fetchall() == owners.execute(query).fetchall(), relation
        with pytest.raises(errors.InsufficientPrivilege):
            operators.execute("select * from raw.customers")


def test_what_an_attack_brings_to_light_is_noticed(marts: Marts, owner_at_work: object) -> None:
    """In the hands of the owner they find what they are after: that a tenant finds nothing proves something."""
    attacks = {name: [s.format(r="marts.fct_orders") for s in statements] for name, statements in READING.items()}
    attacks["the planner's statistics"] = ["select * from pg_stats"]
    attacks["another session"] = ["select query from pg_stat_activity"]
    own = "lomowner = current_user::regrole"
    attacks["a large object"] = [f"select lo_get(oid) from pg_largeobject_metadata where {own}"]
    for name, statements in attacks.items():
        with session(marts.owner) as connection:
            assert VICTIM.marks().search(Listener(connection).run(statements)), name


@pytest.mark.parametrize("attack", READING | OTHERWISE)
def test_no_query_of_a_mart_tells_of_another_tenant(marts: Marts, attacker: Database, attack: str) -> None:
    statements = (READING | OTHERWISE)[attack]
    for relation in marts.relations(*TENANTS_READ, "intermediate"):
        with session(attacker) as connection:
            assert_silent(Listener(connection).run([s.format(r=relation) for s in statements]))


@pytest.mark.parametrize("attack", ON_THE_DATABASE)
def test_nothing_else_in_the_database_tells_of_another_tenant(
    attacker: Database, owner_at_work: object, attack: str
) -> None:
    with session(attacker) as connection:
        assert_silent(Listener(connection).run(ON_THE_DATABASE[attack]))


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_session_cannot_be_lifted_above_its_tenant(
    marts: Marts, attacker: Database, names: dict[str, str], escape: str
) -> None:
    with session(attacker) as connection:
        listener = Listener(connection)
        for statement in ESCAPES[escape]:
            listener.run([statement.format(**names)])
            assert_silent(listener.run(["reset row_security", *everything(marts)]))
            assert connection.execute("select session_user::text").fetchone() == (connection.info.user,)


@pytest.mark.parametrize("schema", ["ops", "raw", "stale", "staging", "intermediate", "reference", "dagster", "public"])
def test_every_other_schema_is_closed(marts: Marts, attacker: Database, schema: str) -> None:
    with session(attacker) as connection:
        for relation in marts.relations(schema):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"select * from {relation}")
    assert schema in ("public", "stale") or marts.relations(schema), "there is something to be closed"


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table t (a integer)",
        "create table public.t (a integer)",
        "create table marts.t (a integer)",
        "create schema mine",
        "create function marts.f() returns integer language sql as 'select 1'",
        "set session authorization {victim}",
        "set role {owner}",
        "set role {operators}",
        "set role {victim}",
        "alter role {victim} password 'mine'",
        "select * from ops.bi_roles",
        "select pg_read_file('PG_VERSION')",
        "select * from pg_authid",
        "select * from pg_statistic",
        "copy marts.dim_customers to program 'cat'",
        "delete from marts.dim_tenants",
        "alter table marts.dim_tenants disable row level security",
        "drop policy tenant on marts.dim_tenants",
    ],
)
def test_a_tenant_is_refused(attacker: Database, names: dict[str, str], statement: str) -> None:
    with session(attacker) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.format(**names))


def test_names_of_roles_tell_nothing_of_their_tenants(marts: Marts, attacker: Database, names: dict[str, str]) -> None:
    with session(attacker) as connection:
        listener = Listener(connection)
        assert names["victim"] in listener.run(["select rolname from pg_roles"]), "names of roles are no secret"
        assert names["victim"].startswith("xeno_bi_")
        assert_silent(names["victim"])
