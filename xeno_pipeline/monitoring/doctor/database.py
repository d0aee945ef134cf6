"""The database: its connection, its version and its schema."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import is_known, newest_version, schema_version
from xeno_pipeline.database.session import open_with_session
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.clock import diagnose_clock
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, from_error, ok, wrong
from xeno_pipeline.settings import Settings

_OLDEST_SERVER = 15
"""The first with `security_invoker` views and `unique nulls not distinct`, which the tenants' isolation needs."""

_MIGRATE = "Run `xeno db migrate`."


def connect_database(settings: Settings) -> tuple[Database | None, list[Diagnosis]]:
    """Connect to the database of the settings; None where it cannot be reached, keeps no session, or is too old.

    An embedded server is started, as by every command.
    """
    try:
        database = open_with_session(settings)
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
    major, version, size, server_time = row
    clock = diagnose_clock("clock of the database", server_time, datetime.fromtimestamp((started + ended) / 2, UTC))
    if major < _OLDEST_SERVER:
        remedy = f"Upgrade it to {_OLDEST_SERVER} or newer, or point XENO_DATABASE_URL elsewhere."
        return None, [wrong("database", f"{database.place} runs PostgreSQL {version}.", remedy), clock]
    return database, [ok("database", f"{database.place}, PostgreSQL {version}, {size}"), clock]


def diagnose_schema(settings: Settings, database: Database) -> tuple[bool, list[Diagnosis]]:
    """Whether all migrations are applied, and the relations of the marts match this version's models."""
    from xeno_pipeline.marts.dbt import DbtProject

    current, needed = schema_version(database), newest_version()
    if current != needed:
        message = f"The database is at schema version {current or 'none'}, this package needs {needed}."
        is_newer = not is_known(current)
        remedy = "The database is ahead: upgrade xeno-pipeline." if is_newer else _MIGRATE
        return False, [wrong("migrations", message, remedy)]
    migrations = ok("migrations", f"schema version {current}")
    with database.connect() as connection:
        built = connection.execute("select version from ops.marts_version").fetchone()
    if built != (DbtProject(settings).version,):
        return True, [migrations, wrong("marts", "Their relations do not match this version's models.", _MIGRATE)]
    return True, [migrations, ok("marts", "their relations match this version's models")]
