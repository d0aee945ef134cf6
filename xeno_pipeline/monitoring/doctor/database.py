"""The database: whether it answers, what it is, whether it is what this version of the package needs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from xeno_pipeline.database.connection import Database, open_database
from xeno_pipeline.database.migrate import newest_version, schema_version
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.clock import examine_clock
from xeno_pipeline.monitoring.doctor.finding import Finding, from_error, ok, wrong
from xeno_pipeline.settings import Settings

_OLDEST_SERVER = 15
"""The first with `security_invoker` views and `unique nulls not distinct`, which tenants' isolation rests on."""

_MIGRATE = "Run `xeno db migrate`."


def reach_database(settings: Settings) -> tuple[Database | None, list[Finding]]:
    """The database that the settings name, if it answers; and what is to be said of it.

    An embedded server is started, as by every command.
    """
    try:
        database = open_database(settings)
        started = time.time()
        with database.connect() as connection:
            row = connection.execute(
                "select current_setting('server_version_num')::int / 10000, current_setting('server_version'), "
                "pg_size_pretty(pg_database_size(current_database())), clock_timestamp()"
            ).fetchone()
        ended = time.time()
    except XenoError as error:
        return None, [from_error("database", error)]
    assert row is not None
    major, version, size, its_time = row
    clock = examine_clock("clock of the database", its_time, datetime.fromtimestamp((started + ended) / 2, UTC))
    if major < _OLDEST_SERVER:
        remedy = f"Upgrade it to {_OLDEST_SERVER} or newer, or point XENO_DATABASE_URL elsewhere."
        return None, [wrong("database", f"{database.place} runs PostgreSQL {version}.", remedy), clock]
    return database, [ok("database", f"{database.place}, PostgreSQL {version}, {size}"), clock]


def examine_schema(settings: Settings, database: Database) -> tuple[bool, list[Finding]]:
    """Whether all migrations were applied, and the relations of the marts are those of this version's models."""
    from xeno_pipeline.marts.dbt import DbtProject

    found, needed = schema_version(database), newest_version()
    if found != needed:
        told = f"The database is at schema version {found or 'none'}, this package needs {needed}."
        is_newer = found is not None and found > needed
        remedy = "The database is ahead: upgrade xeno-pipeline." if is_newer else _MIGRATE
        return False, [wrong("migrations", told, remedy)]
    migrations = ok("migrations", f"schema version {found}")
    with database.connect() as connection:
        made = connection.execute("select version from ops.marts_version").fetchone()
    if made != (DbtProject(settings).version,):
        return True, [migrations, wrong("marts", "Their relations are not those of this version's models.", _MIGRATE)]
    return True, [migrations, ok("marts", "their relations are those of this version's models")]


def examine_inbox(database: Database) -> Finding:
    """Whether webhooks were given up."""
    with database.connect() as connection:
        ((dead,),) = connection.execute("select count(*) from ops.webhook_inbox where dead_at is not null").fetchall()
    if dead:
        remedy = "See why with `xeno webhooks list --dead`, then `xeno webhooks replay`."
        return wrong("webhooks", f"{dead:,} could not be read and were given up.", remedy)
    return ok("webhooks", "none was given up")
