"""`xeno db`: the database."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from xeno_pipeline.cli.terminal import echo
from xeno_pipeline.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The database: its address, programs, schema and keys.")

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("migrate")
def db_migrate() -> None:
    """Bring all schemas, Dagster's too, to what this version needs. For its own, every command does so by itself."""
    from xeno_pipeline.database.roles import adopt_bi_roles
    from xeno_pipeline.database.serving import prepare_serving
    from xeno_pipeline.defs.instance import upgrade_storage
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    pipeline = Pipeline(settings)
    _ = pipeline.dbt_project
    upgrade_storage(settings)
    adopted = adopt_bi_roles(pipeline.database)
    if adopted:
        echo(f"{adopted} role{'s' * (adopted != 1)} of BI tools, which came with a backup, may log in again.")
    password = settings.serving_password
    if password is not None or settings.database_url is None:
        prepare_serving(pipeline.database, password.get_secret_value() if password else None)
    echo(f"The database {pipeline.database.place} is up to date.")


@app.command("url")
def db_url() -> None:
    """Print the database's URL, for psql and other clients (with its password, if it has one)."""
    from xeno_pipeline.database.connection import open_database
    from xeno_pipeline.settings import load_settings

    sys.stdout.write(open_database(load_settings()).url + "\n")


@app.command("env")
def db_env() -> None:
    """Print libpq's variables, for dbt and other tools: eval "$(xeno db env)"."""
    import shlex

    from xeno_pipeline.database.connection import connection_variables, open_database
    from xeno_pipeline.settings import load_settings

    for name, value in connection_variables(open_database(load_settings()).url).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


@app.command("psql", context_settings=_PASSED_ON)
def db_psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are psql's."""
    from xeno_pipeline.database.connection import open_database
    from xeno_pipeline.database.programs import exec_program
    from xeno_pipeline.settings import load_settings

    exec_program(open_database(load_settings()), "psql", context.args)


@app.command("run", context_settings=_PASSED_ON)
def db_run(
    context: typer.Context,
    program: Annotated[str, typer.Argument(help="pg_dump, pg_dumpall, pg_restore and their like.")],
) -> None:
    """Run one of PostgreSQL's programs on the database; further arguments are its own."""
    from xeno_pipeline.database.connection import open_database
    from xeno_pipeline.database.programs import exec_program
    from xeno_pipeline.settings import load_settings

    exec_program(open_database(load_settings()), program, context.args)


@app.command("stop")
def db_stop() -> None:
    """Stop the embedded server, and the dashboard that the demo left running."""
    from xeno_pipeline.database.embedded import EmbeddedServer
    from xeno_pipeline.demo.left_insights import end_left_insights
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    if is_ended := end_left_insights(settings):
        echo("The dashboard that the demo left is ended.")
    if settings.database_url is not None:
        if is_ended:
            return
        raise UsageError("XENO_DATABASE_URL names a server that is not embedded: stop it where it runs.")
    stopped = EmbeddedServer(settings.home).stop()
    echo("The embedded database is stopped." if stopped else "The embedded database was not running.")


@app.command("rotate-key")
def db_rotate_key() -> None:
    """Encrypt all tokens and secrets again, under a new key (or the first of XENO_ENCRYPTION_KEYS)."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants.credentials import rotate

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        key_id, count = rotate(settings, connection)
    echo(f"{count} secret{'s' * (count != 1)} re-encrypted under key {key_id}.")
