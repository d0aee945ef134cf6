"""`xeno webhooks`: subscriptions, and what became of what was received."""

from __future__ import annotations

from typing import Annotated

import typer

from xeno_pipeline.cli.arguments import Handles, active_handles
from xeno_pipeline.cli.terminal import echo

app = typer.Typer(no_args_is_help=True, help="Subscribe to webhooks, and list and replay those received.")


@app.command("list")
def webhooks_list(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
) -> None:
    """Show the newest events that came by webhook, with what became of each."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox
    from xeno_pipeline.settings import load_settings

    with open_migrated(load_settings()).connect() as connection:
        events = inbox.list_events(connection, only_dead=dead, limit=limit)
    for event in events:
        received = event.received_at.strftime("%Y-%m-%d %H:%M:%S")
        fields = [str(event.id), received, event.tenant_id, event.topic, event.gid, event.status, event.error]
        echo("  ".join(part for part in fields if part))
    if not events:
        echo("There are no dead webhooks." if dead else "No webhooks came yet.")


@app.command("replay")
def webhooks_replay(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers, as `list` shows them; all dead ones without.")
    ] = None,
) -> None:
    """Have what events named read again, whatever became of them before."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox
    from xeno_pipeline.settings import load_settings

    with open_migrated(load_settings()).connect() as connection:
        count = inbox.replay(connection, ids or [])
    echo(f"{count} webhook{'s' * (count != 1)} will be read again.")


@app.command("register")
def webhooks_register(tenants: Handles = None) -> None:
    """Have stores send their webhooks to the gateway at XENO_PUBLIC_URL; what is subscribed wrongly is put right."""
    from xeno_pipeline.cli.render import show_registrations
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry
    from xeno_pipeline.tenants.subscriptions import callback_url, register

    pipeline = Pipeline(load_settings())
    url = callback_url(pipeline.settings.public_url)
    handles = active_handles(pipeline, tenants)
    with pipeline.database.connect() as connection:
        active = registry.active(connection, handles)
    registrations = register(pipeline.database, pipeline.syncer.client_of, active, url)
    show_registrations(registrations)
    if any(registration.error for registration in registrations):
        raise typer.Exit(1)
