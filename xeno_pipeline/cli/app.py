"""`xeno`: the command line. Each command calls what does the work elsewhere, and shows what came of it.

What does the work is imported where it is called: Dagster and dbt take seconds to import, and `xeno tenant list`
needs neither.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import psycopg
import sqlalchemy.exc
import typer

from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.settings import SANDBOX_TOKEN, load_settings

if TYPE_CHECKING:
    from xeno_pipeline.defs.resources import Pipeline

app = typer.Typer(
    name="xeno",
    help="Many Shopify stores in one Postgres, modelled into marts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tenant_app = typer.Typer(no_args_is_help=True, help="The stores that are read.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
sandbox_app = typer.Typer(no_args_is_help=True, help="Local stores to try things on.")
webhooks_app = typer.Typer(no_args_is_help=True, help="What Shopify told us, and what became of it.")
privacy_app = typer.Typer(no_args_is_help=True, help="What privacy law asks for: data of customers, and its erasure.")
alerts_app = typer.Typer(no_args_is_help=True, help="Open alerts, and test messages.")
gateway_app = typer.Typer(no_args_is_help=True, help="The web process that Shopify's webhooks come to.")
app.add_typer(tenant_app, name="tenant")
app.add_typer(db_app, name="db")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(gateway_app, name="gateway")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(privacy_app, name="privacy")
app.add_typer(alerts_app, name="alerts")

_DISK_FULL = "53100"
"""PostgreSQL's code: https://www.postgresql.org/docs/current/errcodes-appendix.html"""

Handle = Annotated[str, typer.Argument(help="The store's handle: `acme` of acme.myshopify.com.")]
Handles = Annotated[list[str] | None, typer.Argument(help="Handles of stores; all active ones without any.")]
PerStore = Annotated[list[str] | None, typer.Option(metavar="HANDLE=VALUE", help="May be repeated.")]
TokenOption = Annotated[
    str | None, typer.Option("--token", help="`-` reads the token from standard input; else it is asked for.")
]


# --- tenants ---


@tenant_app.command("add")
def tenant_add(
    handle: Handle,
    api_url: Annotated[
        str | None, typer.Option(help="The root of its Admin API, where it is not at HANDLE.myshopify.com.")
    ] = None,
    token: TokenOption = None,
    client_id: Annotated[
        str | None, typer.Option(help="The client id of an app of the store's own organisation, instead of a token.")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(help="Its secret: `-` reads it from standard input; else it is asked for.")
    ] = None,
) -> None:
    """Connect a store: its token is tried, its facts are read, and it becomes a tenant."""
    from xeno_pipeline.cli.render import say, warn
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.shopify.oauth import App
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import connect_by_own_app, connect_store, history_warning
    from xeno_pipeline.tenants.registry import check_handle

    settings = load_settings()
    check_handle(handle)
    if client_id is None and client_secret is None:
        secret = _read_token(token, api_url)
        database = open_migrated(settings)
        tenant = connect_store(database, load_key_ring(settings), handle=handle, api_url=api_url, token=secret)
    elif client_id is None or token is not None:
        raise UsageError("Give a --token, or the --client-id and --client-secret of an app that brings tokens.")
    else:
        own_app = App(client_id, _read_or_ask(client_secret, "client-secret", "Client secret"))
        database = open_migrated(settings)
        tenant = connect_by_own_app(database, load_key_ring(settings), handle=handle, api_url=api_url, app=own_app)
    align(settings, database)
    say(
        f"{handle} is connected: {tenant.name}, {tenant.currency}, {tenant.iana_timezone}. "
        f"`xeno sync {handle}` reads it."
    )
    warning = history_warning(tenant)
    if warning:
        warn(warning)


@tenant_app.command("set-token")
def tenant_set_token(handle: Handle, token: TokenOption = None) -> None:
    """Give a store a new access token, after it was tried."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.shopify.oauth import check_url_template
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import replace_token

    settings = load_settings()
    secret = _read_token(token, None)
    urls = check_url_template(settings.shopify_url_template)
    replace_token(open_migrated(settings), load_key_ring(settings), handle=handle, token=secret, urls=urls)
    say(f"{handle} has a new token.")


@tenant_app.command("set-domain")
def tenant_set_domain(
    handle: Handle,
    domain: Annotated[str, typer.Argument(help="The store's domain by now: `new-name.myshopify.com`.")],
) -> None:
    """Read a store that was renamed at its new domain, after the same shop has answered there; its id stays."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.shopify.oauth import check_url_template
    from xeno_pipeline.tenants.apps import installation_app
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import set_domain

    settings = load_settings()
    tenant = set_domain(
        open_migrated(settings),
        load_key_ring(settings),
        handle=handle,
        domain=domain,
        app=installation_app(settings),
        urls=check_url_template(settings.shopify_url_template),
    )
    say(f"{handle} is read at {tenant.api_url}; its shop's domain is {tenant.shop_domain}.")


@tenant_app.command("set-app-secret")
def tenant_set_app_secret(
    handle: Handle,
    client_secret: Annotated[
        str | None, typer.Option(help="`-` reads the secret from standard input; else it is asked for.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="The app's client id, if it is to bring the store's tokens too.")
    ] = None,
) -> None:
    """Give a store the secret of an app of its own, which signs its webhooks."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.shopify.oauth import check_url_template
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import replace_app

    settings = load_settings()
    secret = _read_or_ask(client_secret, "client-secret", "Client secret")
    urls = check_url_template(settings.shopify_url_template)
    replace_app(
        open_migrated(settings),
        load_key_ring(settings),
        handle=handle,
        secret=secret,
        client_id=client_id,
        urls=urls,
    )
    say(f"{handle} has a new app secret.")


@tenant_app.command("list")
def tenant_list() -> None:
    """Show all tenants, and the API points that they used."""
    from xeno_pipeline.cli.render import say, show_tenants
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.tenants import registry, usage

    with open_migrated(load_settings()).connect() as connection:
        tenants, used = registry.every(connection), usage.by_tenant(connection)
    if tenants:
        show_tenants(tenants, used)
    else:
        say("There are no tenants yet: `xeno tenant add` connects a store.")


@tenant_app.command("show")
def tenant_show(handle: Handle) -> None:
    """Show one tenant, how far each stream was read, what the last reconciliation found, and what was set aside."""
    from xeno_pipeline.cli.render import show_absent, show_reconciliations, show_set_aside, show_tenant
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox, reconciliation_results
    from xeno_pipeline.extraction.state import load_states
    from xeno_pipeline.raw import set_aside
    from xeno_pipeline.tenants import registry, usage

    with open_migrated(load_settings()).connect() as connection:
        tenant, used = registry.get(connection, handle), usage.by_tenant(connection, handle)
        show_tenant(tenant, load_states(connection, handle), used)
        show_reconciliations(reconciliation_results.latest_of(connection, [handle]))
        show_absent(handle, inbox.count_absent(connection, handle))
        show_set_aside(set_aside.list_objects(connection, handle))


@tenant_app.command("limit")
def tenant_limit(
    handle: Handle,
    points: Annotated[int | None, typer.Argument(min=1, help="API points a month (UTC); none lifts the limit.")] = None,
) -> None:
    """Set how many API points a month a store may be read with before its histories wait; changes are read on."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.tenants import usage

    with open_migrated(load_settings()).connect() as connection:
        usage.set_limit(connection, handle, points)
    say(f"{handle} has no monthly limit." if points is None else f"{handle} is limited to {points:,} points a month.")


@tenant_app.command("suspend")
def tenant_suspend(handle: Handle) -> None:
    """Stop reading a store; its data stays."""
    _set_status(handle, "suspended")


@tenant_app.command("resume")
def tenant_resume(handle: Handle) -> None:
    """Read a suspended store again."""
    from xeno_pipeline.cli.render import warn
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.tenants.grants import has_grant

    _set_status(handle, "active")
    with open_migrated(load_settings()).connect() as connection:
        if not has_grant(connection, handle):
            warn(f"{handle}: no token is stored, so it cannot be read; give one with `xeno tenant set-token {handle}`.")


@tenant_app.command("remove")
def tenant_remove(
    handle: Handle,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a store's data, token and state for good."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.privacy.processing import erase_tenant
    from xeno_pipeline.tenants import registry

    settings = load_settings()
    database = open_migrated(settings)
    with database.connect() as connection:
        registry.get(connection, handle)
    if not yes:
        typer.confirm(f"Delete everything of {handle}, for good?", abort=True)
    with database.connect() as connection:
        deleted = erase_tenant(connection, settings.exports_folder, handle, "`xeno tenant remove`")
    align(settings, database)
    say(f"{handle} is removed; {deleted:,} rows were deleted.")


@tenant_app.command("bi-role")
def tenant_bi_role(
    handle: Annotated[str | None, typer.Argument(help="The tenant whose marts the role reads.")] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all", help="An operator's role instead, which sees all tenants.")
    ] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Drop the role; what it has open sees nothing more.")
    ] = False,
    password: Annotated[
        str | None, typer.Option(help="`-` reads the password from standard input; else one is made up.")
    ] = None,
) -> None:
    """Create a read-only database role for a tenant's BI tool, or give it a new password; print how to connect."""
    from xeno_pipeline.cli.render import say, show_bi_role
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.database.roles import grant_bi_role, password_address, revoke_bi_role
    from xeno_pipeline.tenants import registry

    if (handle is None) != all_tenants:
        raise UsageError("Name one tenant, or give --all for a role that sees all of them.")
    secret = _read_secret(password, "password") if password is not None else None
    settings = load_settings()
    database = open_migrated(settings)
    if revoke:
        with database.connect() as connection:
            if handle is not None:
                registry.get(connection, handle)
            revoked = revoke_bi_role(connection, handle)
        say("The role is dropped." if revoked else "There was no such role.")
        return
    if handle is not None:
        with database.connect() as connection:
            registry.active(connection, [handle])
    role = grant_bi_role(database, handle, secret)
    is_embedded = settings.database_url is None
    with database.connect() as connection:
        address = password_address(connection, is_embedded=is_embedded)
    show_bi_role(role, address, settings.postgres_port if is_embedded else None)


# --- running ---


@app.command()
def sync(
    tenants: Handles = None,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be repeated.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read the history again, and mark what is gone.")] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Mark it even if it is more than one per cent.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="With --full: only what was created on this day in the shop or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="With --full: only what was created up to this day.")] = None,
    transform: Annotated[bool, typer.Option(help="Bring the marts up to date afterwards.")] = True,
) -> None:
    """Read stores: their history the first time, afterwards what changed."""
    from xeno_pipeline.cli.render import Board, has_failed, show_reasons, show_skipped, show_sync, show_transform
    from xeno_pipeline.defs.config import SyncConfig
    from xeno_pipeline.defs.jobs.names import SYNC_JOB
    from xeno_pipeline.defs.launch import run_extraction
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.extraction.streams import check_streams

    board = Board()
    pipeline = Pipeline(load_settings(), board.on_progress, board.on_node)
    how = SyncConfig(full=full, accept_deletions=accept_deletions, since=since, until=until)
    streams = check_streams(stream or [])
    how.request(streams)  # days that are none are refused before anything starts
    handles = _active(pipeline, tenants)
    config = {**how.model_dump(), "streams": list(streams), "transform": transform}
    with board.shown():
        extracted, report = run_extraction(pipeline, SYNC_JOB, handles, config)
    show_sync(extracted.results)
    if transform:
        show_transform(report)
    show_skipped(handles, extracted.tenant_ids)
    if show_reasons(extracted.failures, report.afterwards) or report.failures or has_failed(extracted.results):
        raise typer.Exit(1)


@app.command()
def reconcile(
    tenants: Handles = None,
    full: Annotated[bool, typer.Option("--full", help="Read all ids, whatever the counts say.")] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Mark what is gone even if it is more than one per cent.")
    ] = False,
) -> None:
    """Compare what was read with what Shopify has, and mend what differs; every night does so by itself."""
    from xeno_pipeline.cli.render import (
        Board,
        has_failed,
        show_failures,
        show_reasons,
        show_reconciliations,
        show_skipped,
        show_transform,
    )
    from xeno_pipeline.defs.jobs.names import RECONCILE_JOB
    from xeno_pipeline.defs.launch import run_extraction
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.extraction import reconciliation_results

    board = Board()
    pipeline = Pipeline(load_settings(), board.on_progress, board.on_node)
    handles = _active(pipeline, tenants)
    with board.shown():
        config = {"full": full, "accept_deletions": accept_deletions}
        extracted, report = run_extraction(pipeline, RECONCILE_JOB, handles, config)
    with pipeline.database.connect() as connection:
        show_reconciliations(reconciliation_results.latest_of(connection, handles))
    show_failures(extracted.results)
    show_transform(report)
    show_skipped(handles, extracted.tenant_ids)
    if show_reasons(extracted.failures, report.afterwards) or report.failures or has_failed(extracted.results):
        raise typer.Exit(1)


@app.command()
def transform(
    tenants: Handles = None,
    as_of: Annotated[str | None, typer.Option(help='What "today" is, as 2026-06-30.')] = None,
    test: Annotated[bool, typer.Option("--test", help="Run the dbt tests too.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make all of their marts anew, not only what changed.")
    ] = False,
) -> None:
    """Bring marts up to date with what was read."""
    from xeno_pipeline.cli.render import Board, show_reasons, show_skipped, show_transform
    from xeno_pipeline.defs.config import parse_date
    from xeno_pipeline.defs.launch import run_transform
    from xeno_pipeline.defs.resources import Pipeline

    parse_date(as_of)
    board = Board()
    pipeline = Pipeline(load_settings(), on_node=board.on_node)
    handles = _active(pipeline, tenants)
    with board.shown():
        config = {"as_of": as_of, "test": test, "only_due": not test, "rebuild": rebuild}
        report = run_transform(pipeline, handles, config)
    show_transform(report)
    show_skipped(handles, report.asked_tenant_ids)
    if show_reasons(report.afterwards) or report.failures or report.failed_tests:
        raise typer.Exit(1)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array of results.")] = False,
) -> None:
    """Look for what is wrong with the installation, the database, Dagster and the stores; say how to mend it."""
    import json

    from xeno_pipeline.cli.render import show_diagnoses
    from xeno_pipeline.defs.doctor import diagnose_code_location, diagnose_dagster
    from xeno_pipeline.monitoring.doctor.diagnosis import State
    from xeno_pipeline.monitoring.doctor.run import diagnose

    found = diagnose(load_settings(), diagnose_code_location=diagnose_code_location, diagnose_dagster=diagnose_dagster)
    diagnoses = list(found)
    if as_json:
        # `told` is the former name of `message`, for scripts that read it.
        rows = [{**vars(diagnosis), "told": diagnosis.message} for diagnosis in diagnoses]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        show_diagnoses(diagnoses)
    if any(diagnosis.state is State.WRONG for diagnosis in diagnoses):
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Three sandbox stores to marts, through Dagster, with a summary to read."""
    from xeno_pipeline.demo.tour import give_tour

    give_tour(load_settings())


@app.command()
def dev() -> None:
    """Serve the Dagster UI and daemon, the gateway and the demo's stores, on loopback until interrupted."""
    from xeno_pipeline.demo.dev import serve_dev

    raise typer.Exit(serve_dev(load_settings()))


# --- webhooks ---


@gateway_app.callback()
def gateway() -> None:
    """The web process that Shopify's webhooks come to."""


@gateway_app.command("serve")
def gateway_serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.")] = None,
) -> None:
    """Take webhooks at /webhooks/shopify until interrupted; /healthz, /readyz and /metrics tell how it is."""
    from xeno_pipeline.gateway.server import serve

    settings = load_settings()
    serve(settings, host, settings.gateway_port if port is None else port)


@webhooks_app.command("list")
def webhooks_list(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
) -> None:
    """Show the newest events that came by webhook, with what became of each."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox

    with open_migrated(load_settings()).connect() as connection:
        events = inbox.list_events(connection, only_dead=dead, limit=limit)
    for event in events:
        received = event.received_at.strftime("%Y-%m-%d %H:%M:%S")
        told = [str(event.id), received, event.tenant_id, event.topic, event.gid, event.status, event.error]
        say("  ".join(part for part in told if part))
    if not events:
        say("There are no dead webhooks." if dead else "No webhooks came yet.")


@webhooks_app.command("replay")
def webhooks_replay(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers, as `list` shows them; all dead ones without.")
    ] = None,
) -> None:
    """Have what events named read again, whatever became of them before."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox

    with open_migrated(load_settings()).connect() as connection:
        count = inbox.replay(connection, ids or [])
    say(f"{count} webhook{'s' * (count != 1)} will be read again.")


# --- privacy ---


@privacy_app.command("list")
def privacy_list(limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50) -> None:
    """Show what was asked for: what is not done first, with the days left, then what was done."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.privacy import requests

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        found = requests.every(connection, limit=limit)
    for request in found:
        say(f"{request}, of {request.received_at:%Y-%m-%d}: {request.summary(settings.exports_folder)}")
    if not found:
        say("No privacy requests came yet.")


@privacy_app.command("run")
def privacy_run(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers, as `list` shows them; all that are due without.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Redo every redaction first: for after a backup was restored.")
    ] = False,
) -> None:
    """Do what was asked for now, in a run recorded in Dagster; its daemon does so by itself."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.defs.launch import run_privacy
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.privacy import requests

    pipeline = Pipeline(load_settings())
    with pipeline.database.connect() as connection:
        for number in ids or []:
            requests.get(connection, number)
        if again:
            requests.reopen_redactions(connection)
    say(f"Privacy requests done: {run_privacy(pipeline, ids or [])}.")


@privacy_app.command("export")
def privacy_export(number: Annotated[int, typer.Argument(help="Of the request, as `list` shows it.")]) -> None:
    """Write the file of a data request (again, as things are now), and print where it is."""
    from xeno_pipeline.defs.jobs.privacy import processor_of
    from xeno_pipeline.defs.resources import Pipeline

    sys.stdout.write(f"{processor_of(Pipeline(load_settings())).export(number)}\n")


@webhooks_app.command("register")
def webhooks_register(tenants: Handles = None) -> None:
    """Have stores send their webhooks to the gateway at XENO_PUBLIC_URL; what is subscribed wrongly is put right."""
    from xeno_pipeline.cli.render import show_registrations
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.tenants import registry
    from xeno_pipeline.tenants.subscriptions import callback_url, register

    pipeline = Pipeline(load_settings())
    url = callback_url(pipeline.settings.public_url)
    handles = _active(pipeline, tenants)
    with pipeline.database.connect() as connection:
        active = registry.active(connection, handles)
    registrations = register(pipeline.database, pipeline.syncer.client_of, active, url)
    show_registrations(registrations)
    if any(registration.error for registration in registrations):
        raise typer.Exit(1)


# --- alerts ---


@alerts_app.command("list")
def alerts_list() -> None:
    """Show open alerts, oldest first. They are recorded only while alerts are configured."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.monitoring.alerts import open_alerts
    from xeno_pipeline.monitoring.channels import channels

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        alerts = open_alerts(connection)
    for alert in alerts:
        say(str(alert))
    if not alerts and channels(settings):
        say("There are no open alerts.")
    elif not alerts:
        say("Alerts are off; see docs/operate/alerts.md to turn them on. `xeno doctor` examines the installation now.")


@alerts_app.command("test")
def alerts_test() -> None:
    """Send a test message to every configured recipient."""
    from uuid import uuid4

    from xeno_pipeline.cli.render import complain, say
    from xeno_pipeline.monitoring.channels import Message, NotDeliveredError, channels

    targets = channels(load_settings())
    if not targets:
        raise UsageError(
            "No recipient is configured: set XENO_ALERT_WEBHOOK_URL, or XENO_ALERT_EMAIL_TO, XENO_ALERT_EMAIL_FROM and "
            "XENO_SMTP_URL."
        )
    message = Message(f"test-{uuid4()}", "xeno-pipeline: a test", "This is how you will hear when something is wrong.")
    failed = False
    for channel in targets:
        try:
            channel.send(message)
            say(f"{channel.name}: delivered.")
        except NotDeliveredError as error:
            failed = True
            complain(f"{channel.name}: {error}")
    if failed:
        raise typer.Exit(1)


# --- sandbox ---


@sandbox_app.callback()
def sandbox() -> None:
    """Local stores to try things on."""


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[int | None, typer.Option(help="Where to listen on loopback; 0 takes a free port.")] = None,
    generate: PerStore = None,
    orders_csv: PerStore = None,
    currency: PerStore = None,
    timezone: PerStore = None,
    until: PerStore = None,
    seed: PerStore = None,
    plan: PerStore = None,
    taxes_included: PerStore = None,
) -> None:
    """Serve stores until interrupted: generated ones, ones from a file of order lines, else the demo's."""
    from shopify_sandbox.__main__ import main as serve

    settings = load_settings()
    chosen = settings.sandbox_port if port is None else port
    arguments = ["--port", str(chosen), "--state-dir", str(settings.home / "sandbox")]
    per_store = {
        "--generate": generate,
        "--orders-csv": orders_csv,
        "--currency": currency,
        "--timezone": timezone,
        "--until": until,
        "--seed": seed,
        "--plan": plan,
        "--taxes-included": taxes_included,
    }
    for option, values in per_store.items():
        for value in values or ():
            arguments += [option, value]
    raise typer.Exit(serve(arguments))


# --- the database ---


@db_app.command("migrate")
def db_migrate() -> None:
    """Bring all schemas, Dagster's too, to what this version needs. For its own, every command does so by itself."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.roles import adopt_bi_roles
    from xeno_pipeline.defs.instance import upgrade_storage
    from xeno_pipeline.defs.resources import Pipeline

    settings = load_settings()
    pipeline = Pipeline(settings)
    _ = pipeline.dbt_project
    upgrade_storage(settings)
    adopted = adopt_bi_roles(pipeline.database)
    if adopted:
        say(f"{adopted} role{'s' * (adopted != 1)} of BI tools, which came with a backup, may log in again.")
    say(f"The database {pipeline.database.place} is up to date.")


@db_app.command("url")
def db_url() -> None:
    """Print the database's URL, for psql and other clients (with its password, if it has one)."""
    from xeno_pipeline.database.connection import open_database

    sys.stdout.write(open_database(load_settings()).url + "\n")


@db_app.command("env")
def db_env() -> None:
    """Print libpq's variables, for dbt and other tools: eval "$(xeno db env)"."""
    import shlex

    from xeno_pipeline.database.connection import connection_variables, open_database

    for name, value in connection_variables(open_database(load_settings()).url).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@db_app.command("psql", context_settings=_PASSED_ON)
def db_psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are psql's."""
    from xeno_pipeline.database.connection import open_database
    from xeno_pipeline.database.programs import exec_program

    exec_program(open_database(load_settings()), "psql", context.args)


@db_app.command("run", context_settings=_PASSED_ON)
def db_run(
    context: typer.Context,
    program: Annotated[str, typer.Argument(help="pg_dump, pg_dumpall, pg_restore and their like.")],
) -> None:
    """Run one of PostgreSQL's programs on the database; further arguments are its own."""
    from xeno_pipeline.database.connection import open_database
    from xeno_pipeline.database.programs import exec_program

    exec_program(open_database(load_settings()), program, context.args)


@db_app.command("stop")
def db_stop() -> None:
    """Stop the embedded server."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.embedded import EmbeddedServer

    settings = load_settings()
    if settings.database_url is not None:
        raise UsageError("XENO_DATABASE_URL names a server that is not embedded: stop it where it runs.")
    stopped = EmbeddedServer(settings.home).stop()
    say("The embedded database is stopped." if stopped else "The embedded database was not running.")


@db_app.command("rotate-key")
def db_rotate_key() -> None:
    """Encrypt all tokens and secrets anew, under a new key (or the first of XENO_ENCRYPTION_KEYS)."""
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.tenants.credentials import rotate

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        key_id, count = rotate(settings, connection)
    say(f"{count} secret{'s' * (count != 1)} encrypted anew under key {key_id}.")


# --- shared ---


def _active(pipeline: Pipeline, tenants: list[str] | None) -> list[str]:
    """The handles of the active tenants that a command is about; wrong ones are refused before anything starts."""
    from xeno_pipeline.tenants import registry

    with pipeline.database.connect() as connection:
        active = registry.active(connection, tenants or [])
    if not active:
        raise UsageError("There are no active tenants: `xeno tenant add` connects a store.")
    return [tenant.tenant_id for tenant in active]


def _read_token(option: str | None, api_url: str | None) -> str:
    """The access token: from standard input, or asked for; never from the command line, where others see it."""
    from xeno_pipeline.shopify.transport import is_loopback

    if option is None and api_url is not None and is_loopback(api_url):
        return SANDBOX_TOKEN
    return _read_or_ask(option, "token", "Access token")


def _read_or_ask(option: str | None, kind: str, prompt: str) -> str:
    """A secret that is piped in; without an option it is asked for where somebody sits at a terminal."""
    if option is None and sys.stdin.isatty():
        secret: str = typer.prompt(prompt, hide_input=True)
        return secret.strip()
    return _read_secret(option or "-", kind)


def _read_secret(option: str, kind: str) -> str:
    """A secret that is piped in; never from the command line, where others see it."""
    if option != "-":
        raise UsageError(f"A {kind} on the command line can be seen by others: pipe it in with `--{kind} -`.")
    secret = sys.stdin.readline().strip()
    if not secret:
        raise UsageError(f"No {kind} was given: pipe it in with `--{kind} -`.")
    return secret


def _set_status(handle: str, status: str) -> None:
    from xeno_pipeline.cli.render import say
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.tenants import registry

    settings = load_settings()
    database = open_migrated(settings)
    with database.connect() as connection:
        registry.set_status(connection, handle, status)
    align(settings, database)
    say(f"{handle} is {status}.")


def main() -> None:
    """Run the command line; what goes wrong is told in a sentence."""
    from xeno_pipeline.cli.render import complain

    try:
        app()
    except Exception as error:
        told = _in_a_sentence(error)
        if told is None:
            raise
        complain(told)
        sys.exit(error.exit_code if isinstance(error, XenoError) else 1)


def _in_a_sentence(error: Exception) -> str | None:
    """What went wrong, and the remedy; None for a defect, which only a traceback explains."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return f"There is no room left on the disk of {cause.filename or 'the spool'}. Make room, and try again."
        if _DISK_FULL in (getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None)):
            return "The database has no room left; nothing was half-written. Make room, and run the command again."
    if isinstance(error, XenoError):
        return str(error)
    for cause in causes:
        if isinstance(cause, psycopg.OperationalError | sqlalchemy.exc.OperationalError):
            return f"The database broke off ({str(cause).strip().splitlines()[0]}). Run the command again."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
