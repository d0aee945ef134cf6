"""`xeno`: the command line, put together from one module a group of commands.

Those modules import what does the work inside each command: Dagster and dbt take seconds to import, and
`xeno tenant list` needs neither.
"""

from __future__ import annotations

import sys

import typer

from xeno_pipeline.cli import (
    alerts,
    db,
    demo,
    doctor,
    export,
    gateway,
    insights,
    moving,
    privacy,
    run,
    sandbox,
    segments,
    tenants,
    webhooks,
)

app = typer.Typer(
    name="xeno",
    help="Many Shopify stores in one Postgres database, modelled into marts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run.sync, run.reconcile, run.transform, export.export, doctor.doctor, demo.demo, demo.dev):
    app.command()(command)
tenants.app.command("bi-bundle")(export.bi_bundle)
tenants.app.command("export")(moving.tenant_export)
tenants.app.command("import")(moving.tenant_import)
app.add_typer(tenants.app, name="tenant")
app.add_typer(segments.app, name="segment")
app.add_typer(db.app, name="db")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(gateway.app, name="gateway")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(insights.app, name="insights")
app.add_typer(privacy.app, name="privacy")
app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Run the command line; a failure ends in one sentence, a defect in a traceback."""
    try:
        app()
    except Exception as error:
        from xeno_pipeline.cli.failures import sentence_for
        from xeno_pipeline.cli.terminal import print_error
        from xeno_pipeline.errors import XenoError

        sentence = sentence_for(error)
        if sentence is None:
            raise
        print_error(sentence)
        sys.exit(error.exit_code if isinstance(error, XenoError) else 1)
