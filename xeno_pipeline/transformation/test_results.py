"""The dbt tests on the rows of all tenants, and what each last said: `ops.dbt_tests`."""

from __future__ import annotations

from collections.abc import Sequence

from xeno_pipeline.transformation.dbt import DbtProject, NodeResult
from xeno_pipeline.warehouse.connection import Connection, Database


def run_tests(database: Database, project: DbtProject) -> list[NodeResult]:
    """Run all tests, on marts as they are, and keep what they say.

    Raises:
        DbtError: they could not begin.
    """
    tests = project.invoke(["build", "--resource-type", "test"], transform_id=None)
    with database.connect() as connection:
        keep_test_results(connection, tests)
    return tests


def keep_test_results(connection: Connection, tests: Sequence[NodeResult]) -> None:
    """Keep what tests said, in place of what they said before; those that were left out stay as they are.

    Args:
        connection: a connection.
        tests: in the order in which they ran; where one ran several times, its last failure counts.
    """
    last = {test.name: test for test in sorted(tests, key=lambda test: test.failed) if test.status != "skipped"}
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.dbt_tests as last (test, models, status, message, failing_since)
            values (%(test)s, %(models)s, %(status)s, %(message)s, case when %(failed)s then now() end)
            on conflict (test) do update
            set models = excluded.models, status = excluded.status, message = excluded.message, tested_at = now(),
                failing_since = case when %(failed)s then coalesce(last.failing_since, now()) end
            """,
            [
                {
                    "test": test.name,
                    "models": sorted(set(test.models)),
                    "status": test.status,
                    "message": test.message.partition("\n")[0],  # the lines after it may quote rows
                    "failed": test.failed,
                }
                for test in last.values()
            ],
        )
    connection.execute("delete from ops.dbt_tests where tested_at < now() - interval '7 days'")  # it exists no more
