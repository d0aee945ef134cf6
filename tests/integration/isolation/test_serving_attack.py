"""A connection of `xeno_serving`, in the hands of somebody who tries everything, shows what their secret unlocks.

That is no row without a secret; no row of another store with one; and no person with that of a viewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

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
from tests.support.isolated_marts import Marts, session
from tests.support.marked_rows import ATTACKER, ROWS, VICTIM
from tests.support.serving import key_of, serving_login
from xeno_pipeline.access.grants import invite, revoke
from xeno_pipeline.access.scopes import Role, Scope
from xeno_pipeline.access.secret import make_secret
from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.serving import prepare_serving

PERSONS = re.compile(rf"{ATTACKER.word} (email|phone|first_name|last_name)\b")
"""What names a customer of the attacker's own store: not for a viewer."""

PERSONAL = ("dim_customers", "top_customers", "abandoned_checkouts")


@pytest.fixture(scope="session")
def login(marts: Marts) -> Database:
    """The marts as the login `xeno_serving` sees them without a secret."""
    return serving_login(marts.owner)


@pytest.fixture
def _defaults(marts: Marts) -> Iterator[None]:
    """The login may change its own defaults, for all sessions to come: they are set again after the test."""
    yield
    prepare_serving(marts.administrator)


@pytest.fixture(scope="session")
def viewer(marts: Marts, login: Database) -> Database:
    """The same with the secret of a viewer of the attacker's own store in the session's setting, for all statements."""
    return with_secret(login, key_of(marts, [MINE]))


def with_secret(login: Database, secret: str) -> Database:
    return Database(f"{login.url}&options={quote(f'-cxeno.credential={secret}')}")


def assert_hidden(heard: str) -> None:
    """What was heard holds nothing of the victim, and nobody's name or address."""
    assert_silent(heard)
    found = PERSONS.search(heard)
    assert found is None, heard[max(0, found.start() - 200) : found.end() + 200]


def served(marts: Marts) -> list[str]:
    """The relations by which marts are asked: where one has personal columns, the view beside it."""
    views = marts.relations("serving")
    names = {name.partition(".")[2] for name in views}
    return views + [name for name in marts.relations("marts") if name.partition(".")[2] not in names]


def test_whatever_names_a_person_has_a_view_beside_it(marts: Marts) -> None:
    assert set(marts.relations("serving")) >= {f"serving.{name}" for name in PERSONAL}


def test_each_mart_shows_exactly_the_rows_of_the_store_and_persons_to_whom_they_may_be_shown(
    marts: Marts, login: Database, viewer: Database
) -> None:
    analyst, full = with_secret(login, key_of(marts, [MINE], Scope.PEOPLE)), 0
    with session(analyst) as whole, session(viewer) as part, session(marts.owner) as owners:
        for relation in served(marts):
            name = relation.partition(".")[2]
            query = f"select * from {{}}.{name} r where tenant_id = %s order by r::text"
            own = owners.execute(query.format("marts"), [MINE]).fetchall()
            assert whole.execute(f"select * from {name} r order by r::text").fetchall() == own, relation
            seen = part.execute(f"select * from {name}").fetchall()
            assert len(seen) == len(own), relation
            assert_hidden(str(seen))
            assert bool(PERSONS.search(str(own))) == (relation.startswith("serving.")), relation
            full += len(own) == ROWS
    assert full >= 5


def test_persons_are_seen_in_the_store_of_an_analyst_and_not_in_that_of_a_viewer(marts: Marts, login: Database) -> None:
    with marts.owner.connect() as connection:
        invite(connection, "eve@example.com", [MINE], Role.VIEWER)
        link = invite(connection, "eve@example.com", [VICTIM.tenant_id], Role.ANALYST).secret
    pool = ServingPool(login.url, connections=1)
    try:
        secret = pool.sign_in(link).secret
    finally:
        pool.close()
    with session(with_secret(login, secret)) as connection:
        for name in PERSONAL:
            rows = connection.execute(f"select r::text from {name} r").fetchall()
            text = str(rows)
            assert MINE in text
            assert PERSONS.search(text) is None
            assert f"{VICTIM.word} email" in text
    with marts.owner.connect() as connection:
        revoke(connection, "eve@example.com")


@pytest.mark.parametrize(
    "credential", [None, "", MINE, VICTIM.tenant_id, "xeno_", pytest.param(make_secret(), id="another")]
)
def test_without_a_right_secret_no_row_is_seen(marts: Marts, login: Database, credential: str | None) -> None:
    opened = login if credential is None else with_secret(login, credential)
    with session(opened) as connection:
        for relation in served(marts):
            assert connection.execute(f"select * from {relation}").fetchall() == [], relation
        listener = Listener(connection)
        for relation in served(marts):
            heard = listener.run([s.format(r=relation) for s in READING["an error that tells a value"]])
            assert_hidden(heard)
            assert ATTACKER.word not in heard


@pytest.mark.parametrize("attack", READING | OTHERWISE)
@pytest.mark.thorough
def test_no_query_tells_a_viewer_of_another_store_or_of_a_person(marts: Marts, viewer: Database, attack: str) -> None:
    for relation in marts.relations("marts", "serving", "intermediate"):
        with session(viewer) as connection:
            assert_hidden(Listener(connection).run([s.format(r=relation) for s in (READING | OTHERWISE)[attack]]))


def test_tables_that_marts_are_made_of_show_the_rows_of_the_store(marts: Marts, viewer: Database) -> None:
    with session(viewer) as connection, session(marts.owner) as owners:
        query = "select oid::regclass::text from pg_class where relnamespace = %s::regnamespace and relkind = 'r'"
        tables = owners.execute(query, ["intermediate"]).fetchall()
        assert len(tables) >= 8
        for (table,) in tables:
            assert connection.execute(f"select distinct tenant_id from {table}").fetchall() == [(MINE,)], table


OF_COLUMNS = {
    "each alone": ["select {c} from {r}"],
    "its comparison": ["select customer_id from {r} where {c} like 'plainly%'", "select from {r} where {c} > ''"],
    "its extremes": ["select min({c}), max({c}) from {r}", "select {c}, count(*) from {r} group by 1"],
    "errors": ["select {c}::integer from {r}", "select from {r} where {c}::integer = 0"],
    "a join": ["select b.{c} from {r} a join {r} b using (tenant_id, customer_id)"],
    "rows as a whole": ["select to_jsonb(r), row_to_json(r), r, r.* from {r} r"],
    "names given": ["select x from (select {c} from {r}) as t (x)", "with t as (table {r}) select {c} from t"],
    "statistics": ["select * from pg_stats where attname = '{c}'", "explain (analyze, verbose) select {c} from {r}"],
    "a subquery": ["select (select i.{c} from {r} i limit 1) from {r}", "select array(select {c} from {r})"],
}
"""What may be tried with one column that holds persons' data."""


@pytest.mark.parametrize("attack", OF_COLUMNS)
def test_no_query_shows_a_viewer_a_personal_column(marts: Marts, viewer: Database, attack: str) -> None:
    with session(marts.owner) as owners:
        columns = owners.execute("select relation_name, column_name from ops.personal_columns").fetchall()
    assert len(columns) >= 10
    with session(viewer) as connection:
        listener = Listener(connection)
        for relation, column in columns:
            for schema in ("serving", relation.partition(".")[0]):
                name = f"{schema}.{relation.partition('.')[2]}"
                assert_hidden(listener.run([s.format(r=name, c=column) for s in OF_COLUMNS[attack]]))


@pytest.mark.parametrize("attack", ON_THE_DATABASE)
@pytest.mark.thorough
def test_nothing_else_in_the_database_tells_of_another_store(
    viewer: Database, owner_at_work: object, attack: str
) -> None:
    with session(viewer) as connection:
        assert_hidden(Listener(connection).run(ON_THE_DATABASE[attack]))


BY_SECRETS = {
    "another secret": [
        f"set xeno.credential = '{VICTIM.tenant_id}'",
        "set xeno.credential = ''",
        "reset xeno.credential",
    ],
    "secrets that are unlocked": [f"select ops.unlock('{VICTIM.tenant_id}')", "select ops.unlock(null)"],
    "links": ["select ops.sign_in('x', decode(repeat('00', 32), 'hex'))", "select ops.sign_out('x')"],
    "tables of access": [
        *(f"select * from ops.{table}" for table in ("people", "access_keys", "access_grants", "sign_in_links")),
        "select * from ops.unlocked_grants",
        "set default_transaction_read_only = off",
        f"insert into ops.access_grants (key_id, tenant_id, scopes) values (1, '{VICTIM.tenant_id}', '{{read}}')",
        "update ops.access_grants set tenant_id = null",
        "delete from ops.access_grants",
    ],
}
"""What might lift a session of the login above its secret, beside what might lift any."""


@pytest.mark.parametrize("escape", ESCAPES | BY_SECRETS)
@pytest.mark.thorough
@pytest.mark.usefixtures("_defaults")
def test_a_session_cannot_be_lifted_above_its_secret(
    marts: Marts, viewer: Database, names: dict[str, str], escape: str
) -> None:
    with session(viewer) as connection:
        listener = Listener(connection)
        for statement in (ESCAPES | BY_SECRETS)[escape]:
            listener.run([statement.format(**names) if escape in ESCAPES else statement])
            assert_hidden(listener.run(["reset row_security", *everything(marts)]))
            assert connection.execute("select session_user::text").fetchone() == ("xeno_serving",)


def test_tables_of_other_schemas_are_closed_but_for_rows_of_the_store_that_are_served(
    marts: Marts, viewer: Database
) -> None:
    with session(marts.owner) as owners:
        query = "select relation_name, column_names from ops.serving_privileges where command = 'select'"
        open_tables = dict(owners.execute(query).fetchall())
    with session(viewer) as connection:
        for relation in marts.relations("ops", "raw", "stale", "staging", "reference", "dagster"):
            if relation in open_tables:
                columns = ", ".join(open_tables[relation] or ["*"])
                assert_hidden(str(connection.execute(f"select {columns} from {relation}").fetchall()))
            else:
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(f"select * from {relation}")


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table t (a integer)",
        "create table public.t (a integer)",
        "create view serving.t as select 1",
        "set session authorization {victim}",
        "set role {owner}",
        "set role {tenants}",
        "alter role xeno_serving superuser",
        "select * from ops.access_keys",
        "select ops.admit_serving()",
        "select ops.secure('marts.fct_orders')",
        "select ops.bound_tenant()",
        "select * from marts.dim_customers",
        "select email from marts.dim_customers",
        "select pg_read_file('PG_VERSION')",
        "copy (select 1) to program 'cat'",
        "update serving.dim_customers set country_code = null",
        "delete from marts.fct_orders",
        "insert into ops.tenant_marts values ('{victim}')",
        "alter table marts.dim_tenants disable row level security",
    ],
)
def test_the_login_is_refused(viewer: Database, names: dict[str, str], statement: str) -> None:
    with session(viewer) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
            connection.execute(statement.format(**names))


def test_a_secret_is_not_seen_from_another_session_of_the_login(
    marts: Marts, login: Database, viewer: Database
) -> None:
    secret = key_of(marts, [VICTIM.tenant_id], Scope.PEOPLE)
    pool = ServingPool(login.url, connections=2)
    try:
        with pool.unlocked(secret) as (connection, _), session(viewer) as other:
            connection.execute("select * from dim_customers where email = %s", [f"{VICTIM.word} email"])
            others = other.execute("select query from pg_stat_activity where usename = 'xeno_serving'").fetchall()
            assert "dim_customers" in str(others), "what is asked can be seen, and so values are bound"
            found = str(other.execute("select * from pg_stat_activity").fetchall())
            found += str(other.execute("select * from pg_prepared_statements").fetchall())
            assert secret not in found
            assert_silent(found)
    finally:
        pool.close()


def test_a_plan_that_was_made_for_one_secret_serves_the_next_its_own_rows(marts: Marts, login: Database) -> None:
    secrets = [key_of(marts, [tenant.tenant_id]) for tenant in (ATTACKER, VICTIM)]
    with session(login) as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute("prepare p as select distinct tenant_id from fct_orders")
        seen = []
        for secret in secrets * 2:
            connection.execute("select set_config('xeno.credential', %s, false)", [secret])
            seen.append(connection.execute("execute p").fetchall())
    assert seen == [[(ATTACKER.tenant_id,)], [(VICTIM.tenant_id,)]] * 2


@pytest.mark.parametrize("relation", ["marts.fct_orders", "marts.revenue_daily", "serving.dim_customers"])
def test_the_policy_is_a_condition_of_the_index(viewer: Database, relation: str) -> None:
    with session(viewer) as connection:
        connection.execute("set enable_seqscan = off")
        plan = plan_of(connection, f"select * from {relation}")
        assert re.search(r"Index Cond: \(\(?tenant_id = ANY \(\(InitPlan", plan), plan
        assert not re.search(r"Filter: .*InitPlan", plan), plan


def plan_of(connection: Connection, query: str) -> str:
    return "\n".join(line for (line,) in connection.execute(f"explain (costs off) {query}").fetchall())
