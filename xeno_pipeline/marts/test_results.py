"""The dbt tests: with which tenants' rows they fail, and what each last said: `ops.dbt_tests`.

dbt evaluates a test once for all tenants of a run, and says how many rows fail, not which tenants they belong to. So a
test that fails runs again: grouped by tenant where its rows have a tenant_id, else for each half of the tenants, down
to the single tenants for which it fails.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import uuid4

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.dbt import DbtProject, NodeResult
from xeno_pipeline.tenants.bisection import bisect

NO_TENANT = ""
"""In the place of a tenant where a test fails without any tenant's rows."""


@dataclass(frozen=True)
class FailedTest:
    """A test that did not pass.

    Args:
        name: its name.
        message: what dbt says of it.
        tenants: the message for each tenant that it fails for; `NO_TENANT` where it fails without any tenant's rows.
    """

    name: str
    message: str
    tenants: dict[str, str]


class RowsFoundError(XenoError):
    """A test found rows that it should not."""


def run_tests(database: Database, project: DbtProject) -> tuple[list[NodeResult], list[FailedTest]]:
    """Run all tests on the marts of all active tenants as they are, and keep what they say.

    Returns:
        dbt's results, and the failed tests with the tenants that they fail for.

    Raises:
        DbtError: they could not begin.
    """
    with database.connect() as connection:
        active = "select tenant_id from ops.tenants where status = 'active' order by 1"
        tenant_ids = [tenant_id for (tenant_id,) in connection.execute(active)]
    tests = project.invoke(["test", "--exclude-resource-type", "unit_test"], transform_id=None)
    return tests, judge_tests(database, tests, tenant_ids)


def judge_tests(database: Database, tests: Sequence[NodeResult], tenant_ids: Sequence[str]) -> list[FailedTest]:
    """Find out for which tenants tests failed, and store it.

    Args:
        database: where the marts are.
        tests: what dbt said of them; those that were skipped say nothing.
        tenant_ids: the tenants whose rows were tested.
    """
    ran = [test for test in tests if test.status != "skipped"]
    judged = [
        FailedTest(test.name, test.message, _failing_tenants(database, test, tenant_ids)) for test in ran if test.failed
    ]
    failed = [test for test in judged if test.tenants]  # else it fails for tenants that were not tested
    with database.connect() as connection:
        _keep(connection, ran, failed, tenant_ids)
    return failed


def _failing_tenants(database: Database, test: NodeResult, tenant_ids: Sequence[str]) -> dict[str, str]:
    """The message for each tenant that a test fails for; under `NO_TENANT` where none can be named."""
    try:
        with database.connect() as connection, connection.transaction(force_rollback=True):
            _begin_scope(connection, tenant_ids)
            rows = _rows_by_tenant(connection, test)
        if rows is not None:
            return {tenant_id: _found(rows[tenant_id]) for tenant_id in tenant_ids if tenant_id in rows}
    except psycopg.Error:
        pass  # the statement fails: evaluating it by tenant finds for which

    def evaluate(tenants: Sequence[str]) -> None:
        with database.connect() as connection, connection.transaction(force_rollback=True):
            _begin_scope(connection, tenants)
            row = connection.execute(f"select count(*) from ({test.sql}) as found".encode()).fetchone()
        if row is not None and row[0]:
            raise RowsFoundError(_found(row[0]))

    try:
        evaluate([])
    except (RowsFoundError, psycopg.Error) as error:
        return {NO_TENANT: safe_message(error)}
    _, failures = bisect(tenant_ids, evaluate)
    return {tenant_id: safe_message(error) for tenant_id, error in failures.items()} or {NO_TENANT: test.message}


def _found(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)} should not be there"


def _rows_by_tenant(connection: Connection, test: NodeResult) -> dict[str, int] | None:
    """How many rows a test finds of each tenant; None where its rows have no tenant_id."""
    columns = connection.execute(f"select * from ({test.sql}) as found limit 0".encode()).description or ()
    if "tenant_id" not in {column.name for column in columns}:
        return None
    found = connection.execute(f"select tenant_id, count(*) from ({test.sql}) as found group by 1".encode())
    return dict(found.fetchall())


def _begin_scope(connection: Connection, tenant_ids: Collection[str]) -> None:
    """Have a transaction, which is to leave nothing behind, be one of a transform of some tenants."""
    transform_id = uuid4()
    connection.execute(
        """
        insert into ops.transforms (transform_id, tenant_id, as_of_date, iana_timezone, currency)
        select %s, tenant_id, coalesce(as_of_date, ops.local_time(now(), tenants.iana_timezone)::date),
            tenants.iana_timezone, tenants.currency
        from ops.tenants
        left join ops.tenant_marts using (tenant_id)
        where tenant_id = any(%s)
        """,
        [transform_id, list(tenant_ids)],
    )
    connection.execute("select set_config('xeno.transform_id', %s, true)", [str(transform_id)])


def _keep(
    connection: Connection, tests: Sequence[NodeResult], failed: Sequence[FailedTest], tenant_ids: Collection[str]
) -> None:
    """Keep what tests said of tenants, in place of what they said before; of other tenants it stays as it is."""
    failing = {test.name: test.tenants for test in failed}
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.dbt_tests (test, models, status, message) values (%s, %s, %s, %s)
            on conflict (test) do update
            set models = excluded.models, status = excluded.status, message = excluded.message, tested_at = now()
            """,
            # The lines after the first may quote rows.
            [(each.name, sorted(set(each.models)), each.status, each.message.partition("\n")[0]) for each in tests],
        )
        cursor.executemany(
            """
            delete from ops.dbt_test_failures
            where test = %(test)s and tenant_id = any(%(tenants)s) and tenant_id <> all(%(failing)s)
            """,
            [
                {"test": each.name, "tenants": [NO_TENANT, *tenant_ids], "failing": list(failing.get(each.name, ()))}
                for each in tests
            ],
        )
        cursor.executemany(
            """
            insert into ops.dbt_test_failures (test, tenant_id, message) values (%s, %s, %s)
            on conflict (test, tenant_id) do update set message = excluded.message
            """,
            [(name, tenant_id, message) for name, of in failing.items() for tenant_id, message in of.items()],
        )
    connection.execute("delete from ops.dbt_tests where tested_at < now() - interval '7 days'")  # the test was removed
    connection.execute(
        """
        update ops.dbt_tests
        set failing_since = (
            select min(failing_since) from ops.dbt_test_failures failures where failures.test = dbt_tests.test
        )
        where failing_since is not null or test = any(%s)
        """,
        [list(failing)],
    )
