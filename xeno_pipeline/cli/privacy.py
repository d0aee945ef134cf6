"""`xeno privacy`: requests under privacy law, for customers' data and its erasure."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from xeno_pipeline.cli.terminal import echo

app = typer.Typer(no_args_is_help=True, help="Requests under privacy law, for customers' data and its erasure.")


@app.command("list")
def privacy_list(limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50) -> None:
    """Show what was asked for: what is not done first, with the days left, then what was done."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.privacy import requests
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        found = requests.list_all(connection, limit=limit)
    for request in found:
        echo(f"{request}, of {request.received_at:%Y-%m-%d}: {request.summary(settings.exports_folder)}")
    if not found:
        echo("No privacy requests came yet.")


@app.command("run")
def privacy_run(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers, as `list` shows them; all that are due without.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Redo every redaction first: for after a backup was restored.")
    ] = False,
) -> None:
    """Do what was asked for now, in a run recorded in Dagster; its daemon does so by itself."""
    from xeno_pipeline.defs.launch import run_privacy
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.privacy import requests
    from xeno_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    with pipeline.database.connect() as connection:
        for number in ids or []:
            requests.get(connection, number)
        if again:
            requests.reopen_redactions(connection)
    echo(f"Privacy requests done: {run_privacy(pipeline, ids or [])}.")


@app.command("export")
def privacy_export(
    number: Annotated[int, typer.Argument(help="Of the request, as `list` shows it.")],
    content: Annotated[
        bool, typer.Option("--print", help="Print what the file would hold instead: where no file outlives its pod.")
    ] = False,
) -> None:
    """Write the file of a data request (again, as things are now), and print where it is."""
    from xeno_pipeline.defs.jobs.privacy import processor_of
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.settings import load_settings

    processor = processor_of(Pipeline(load_settings()))
    sys.stdout.write(f"{processor.document(number).decode() if content else processor.export(number)}\n")
