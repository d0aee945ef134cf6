"""Segments about people are the business of who may see people, in the database; and what is no segment's fault."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse
from tests.support.serving import key_for, serving_login
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments import registry

pytestmark = pytest.mark.thorough

REPEATED = "number_of_orders > 1"
ABOUT_PEOPLE = "customer_email_domain != 'nowhere.test'"
"""All customers fit it, whoever they are."""


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[..., Warehouse]) -> Warehouse:
    """A store with customers of none to four orders, in one segment."""
    warehouse = make_warehouse()
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    store.add_customers_of_up_to(4)
    store.load(warehouse)
    with warehouse.database.connect() as connection:
        registry.save_segment(connection, "acme", "Repeated", REPEATED)
    warehouse.transform()
    return warehouse


def members(warehouse: Warehouse, name: str) -> set[int]:
    found = warehouse.query(
        "select customer_id from marts.segment_members join marts.segments using (tenant_id, segment_id) "
        "where name = %s",
        name,
    )
    return {customer for (customer,) in found}


def test_who_is_in_a_segment_about_people_is_known_to_who_may_see_people_only(
    warehouse: Warehouse,
) -> None:
    """Whoever takes a connection of the login: the membership of a query that they wrote would tell what it asks."""
    login = serving_login(warehouse.database)
    customers = {customer for (customer,) in warehouse.query("select customer_id from marts.dim_customers")}
    analyst, author, viewer = (
        key_for(warehouse.database, ["acme"], *scopes)
        for scopes in ([Scope.SEGMENTS, Scope.PEOPLE], [Scope.SEGMENTS], [])
    )

    def run(secret: str, statement: str, *values: object) -> None:
        with login.connect() as connection:
            _unlock(connection, secret)
            connection.execute(statement, values)

    def seen(secret: str) -> dict[str, set[str]]:
        """The segments of which something is seen, by where."""
        with login.connect() as connection:
            _unlock(connection, secret)
            return {
                source: {name for (name,) in connection.execute(f"select distinct {name} from {source}").fetchall()}
                for source, name in (
                    ("marts.segments", "name"),
                    ("intermediate.int_segments", "segment_name"),
                    ("marts.segment_members join ops.segments using (tenant_id, segment_id)", "name"),
                    ("marts.segment_history join ops.segments using (tenant_id, segment_id)", "name"),
                    ("marts.customer_timeline where event_type = 'segment_change'", "split_part(title, ' ', 2)"),
                )
            }

    insert = "insert into ops.segments (tenant_id, name, query) values ('acme', %s, %s)"
    run(analyst, insert, "Domain", ABOUT_PEOPLE)
    run(analyst, insert, "Tags", "customer_tags IS NULL")
    run(author, insert, "Stolen", ABOUT_PEOPLE)
    run(author, insert, "Swapped", REPEATED)
    warehouse.transform()
    run(author, "update ops.segments set query = %s where name = 'Swapped'", ABOUT_PEOPLE)
    run(author, "update ops.segments set query = %s where name = 'Domain'", REPEATED)
    for statement in (
        "update ops.segments set is_personal = false",
        "update ops.segments set may_be_personal = true",
        "insert into ops.segments (tenant_id, name, query, may_be_personal) values ('acme', 'x', 'y', true)",
        "insert into ops.segments (tenant_id, name, query, is_personal) values ('acme', 'x', 'y', false)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(author, statement)
    warehouse.transform()

    withheld = {"Domain", "Tags", "Stolen", "Swapped"}
    assert members(warehouse, "Tags") == customers
    assert members(warehouse, "Stolen") == set()
    assert members(warehouse, "Swapped") == members(warehouse, "Repeated") < customers, "those of the query before"
    for secret in (author, viewer):
        assert not any(names & withheld for names in seen(secret).values()), seen(secret)
        assert all("Repeated" in names for names in seen(secret).values())
    assert all({"Domain", "Tags"} <= names for names in seen(analyst).values())
    problems = warehouse.query("select name from ops.segments where problem like '%%who saved it may not%%' order by 1")
    assert problems == [("Stolen",), ("Swapped",)]

    run(analyst, "update ops.segments set query = %s where name = 'Stolen'", "customer_tags IS NULL AND units >= 0")
    warehouse.transform()
    assert members(warehouse, "Stolen") == customers
    assert not any(names & withheld for names in seen(author).values())


def test_an_error_that_passes_by_itself_is_no_problem_of_a_segment(warehouse: Warehouse) -> None:
    with warehouse.database.connect() as connection:
        recent = registry.save_segment(connection, "acme", "Recent", "orders_placed MATCHES (date >= -30d)").segment_id
    warehouse.transform()
    with warehouse.database.connect() as holder, warehouse.database.connect() as connection:
        holder.execute("lock table marts.fct_orders in access exclusive mode")
        connection.execute("set lock_timeout = '10ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(
                "select * from ops.matching_segments('acme', current_date, array[%s::bigint], null)", [recent]
            )
    assert warehouse.value("select problem from ops.segments where segment_id = %s", recent) is None


def _unlock(connection: Connection, secret: str) -> None:
    connection.execute("set transaction read write")
    connection.execute("select ops.unlock(%s)", [secret])
