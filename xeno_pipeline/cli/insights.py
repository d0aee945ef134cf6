"""`xeno insights`: who may ask the marts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from xeno_pipeline.cli.arguments import MetricsPort
from xeno_pipeline.cli.terminal import echo, warn
from xeno_pipeline.errors import UsageError

if TYPE_CHECKING:
    from xeno_pipeline.monitoring.channels import Email

app = typer.Typer(no_args_is_help=True, help="Who may ask the marts: people, and keys of programs.")

Stores = Annotated[list[str] | None, typer.Argument(help="Handles of stores.")]
AllStores = Annotated[bool, typer.Option("--all", help="All stores instead, those to come included.")]


@app.command("invite")
def insights_invite(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    stores: Stores = None,
    all_stores: AllStores = False,
    role: Annotated[
        str, typer.Option(help="viewer: figures; analyst: people and segments too; operator: syncs too.")
    ] = ("viewer"),
) -> None:
    """Let a person see stores, or change their role there; print a link that signs them in once."""
    from xeno_pipeline.access.grants import LINK_LIFETIME, invite
    from xeno_pipeline.access.scopes import check_role
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.monitoring.channels import mail_to
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    wanted, chosen = _stores(stores, all_stores=all_stores), check_role(role)
    channel = mail_to(settings, email)
    with open_migrated(settings).connect() as connection:
        invitation = invite(connection, email, wanted, chosen)
    link = f"{settings.insights_url.rstrip('/')}/sign-in/{invitation.secret}"
    where = "all stores" if wanted is None else ", ".join(wanted)
    echo(f"{email} is {chosen} of {where}. This link signs them in once, within {LINK_LIFETIME.days} days:")
    echo(link)
    if channel is not None:
        _mail(channel, email, link, LINK_LIFETIME.days)


@app.command("key")
def insights_key(
    name: Annotated[str, typer.Argument(help="What the key is called, to tell it from others and to revoke it.")],
    stores: Stores = None,
    all_stores: AllStores = False,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="people, segments or sync, beside `read`; may be repeated.")
    ] = None,
    expires: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="In how many days it ends; else never.")
    ] = None,
) -> None:
    """Make a key for a program, and print it: this once, and nothing else on standard output."""
    from datetime import timedelta

    from xeno_pipeline.access.grants import make_key
    from xeno_pipeline.access.scopes import check_scopes
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings

    wanted, chosen = _stores(stores, all_stores=all_stores), check_scopes(scopes or ())
    lifetime = timedelta(days=expires) if expires is not None else None
    with open_migrated(load_settings()).connect() as connection:
        secret = make_key(connection, name, wanted, chosen, lifetime)
    sys.stdout.write(f"{secret}\n")


@app.command("list")
def insights_list() -> None:
    """Show people and keys, what each may do where, and who is signed in."""
    from xeno_pipeline.access.grants import list_sessions, list_subjects
    from xeno_pipeline.cli.render import show_access
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings

    with open_migrated(load_settings()).connect() as connection:
        subjects, sessions = list_subjects(connection), list_sessions(connection)
    if subjects:
        show_access(subjects, sessions)
    else:
        echo("Nobody may ask the marts yet: `xeno insights invite` lets a person, `xeno insights key` a program.")


@app.command("revoke")
def insights_revoke(
    name: Annotated[str, typer.Argument(help="An e-mail address, a key's name, or a session's, as `list` shows them.")],
    stores: Annotated[list[str] | None, typer.Argument(help="Only in these stores.")] = None,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Only sign the person out everywhere; what they may do stays.")
    ] = False,
) -> None:
    """End the access of a person or a key with their next request."""
    from xeno_pipeline.access.grants import end_sessions, is_session, revoke
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings

    if stores and (sessions or is_session(name)):
        raise UsageError("Sessions are not of stores: name stores, or end sessions.")
    with open_migrated(load_settings()).connect() as connection:
        if sessions or is_session(name):
            ended = end_sessions(connection, name)
            echo(f"{ended} session{'s' * (ended != 1)} of {name} ended." if sessions else f"{name} ended.")
        elif revoke(connection, name, stores or ()):
            echo(f"{name} has no access any more.")
        else:
            echo(f"{name} has no access to {', '.join(stores or ())} any more.")


@app.command("serve")
def insights_serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.")] = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Answer requests of the API at /api/v1 until interrupted; /healthz, /readyz and /metrics tell how it is."""
    from xeno_pipeline.api.server import serve
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    serve(settings, host, settings.insights_port if port is None else port, metrics_port)


def _stores(stores: list[str] | None, *, all_stores: bool) -> list[str] | None:
    """The named stores; None for all."""
    if bool(stores) == all_stores:
        raise UsageError("Name the stores, or give --all for all of them, those to come included.")
    return stores if stores else None


def _mail(channel: Email, email: str, link: str, days: int) -> None:
    """Send the link; the command has printed it in any case."""
    import uuid

    from xeno_pipeline.monitoring.channels import Message, NotDeliveredError

    text = f"This link signs you in to your stores' figures, once, within {days} days:\n\n{link}\n"

    try:
        channel.send(Message(f"invitation-{uuid.uuid4()}", "Your stores' figures", text))
    except NotDeliveredError as error:
        warn(f"The link was not mailed: {error}")
    else:
        echo(f"It was mailed to {email}.")
