"""`xeno tenant`: connect stores, and change how they are read."""

from __future__ import annotations

from typing import Annotated

import typer

from xeno_pipeline.cli.arguments import Handle, TokenOption
from xeno_pipeline.cli.secret_input import read_or_ask, read_secret, read_token
from xeno_pipeline.cli.terminal import echo, warn
from xeno_pipeline.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Connect stores, and change how they are read.")


@app.command("add")
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
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.shopify.oauth import App
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import connect_by_own_app, connect_store, history_warning
    from xeno_pipeline.tenants.registry import check_handle

    settings = load_settings()
    check_handle(handle)
    if client_id is None and client_secret is None:
        secret = read_token(token, api_url)
        database = open_migrated(settings)
        tenant = connect_store(database, load_key_ring(settings), handle=handle, api_url=api_url, token=secret)
    elif client_id is None or token is not None:
        raise UsageError("Give a --token, or the --client-id and --client-secret of an app that brings tokens.")
    else:
        own_app = App(client_id, read_or_ask(client_secret, "client-secret", "Client secret"))
        database = open_migrated(settings)
        tenant = connect_by_own_app(database, load_key_ring(settings), handle=handle, api_url=api_url, app=own_app)
    align(settings, database)
    echo(
        f"{handle} is connected: {tenant.name}, {tenant.currency}, {tenant.iana_timezone}. "
        f"`xeno sync {handle}` reads it."
    )
    warning = history_warning(tenant)
    if warning:
        warn(warning)


@app.command("set-token")
def tenant_set_token(handle: Handle, token: TokenOption = None) -> None:
    """Give a store a new access token, after it was tried."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.shopify.oauth import check_url_template
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import replace_token

    settings = load_settings()
    secret = read_token(token, None)
    urls = check_url_template(settings.shopify_url_template)
    replace_token(open_migrated(settings), load_key_ring(settings), handle=handle, token=secret, urls=urls)
    echo(f"{handle} has a new token.")


@app.command("set-domain")
def tenant_set_domain(
    handle: Handle,
    domain: Annotated[str, typer.Argument(help="The store's domain by now: `new-name.myshopify.com`.")],
) -> None:
    """Read a store that was renamed at its new domain, after the same shop has answered there; its id stays."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
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
    echo(f"{handle} is read at {tenant.api_url}; its shop's domain is {tenant.shop_domain}.")


@app.command("set-app-secret")
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
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.shopify.oauth import check_url_template
    from xeno_pipeline.tenants.credentials import load_key_ring
    from xeno_pipeline.tenants.onboarding import replace_app

    settings = load_settings()
    secret = read_or_ask(client_secret, "client-secret", "Client secret")
    urls = check_url_template(settings.shopify_url_template)
    replace_app(
        open_migrated(settings),
        load_key_ring(settings),
        handle=handle,
        secret=secret,
        client_id=client_id,
        urls=urls,
    )
    echo(f"{handle} has a new app secret.")


@app.command("list")
def tenant_list() -> None:
    """Show all tenants, and the API points that they used."""
    from xeno_pipeline.cli.render import show_tenants
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry, usage

    with open_migrated(load_settings()).connect() as connection:
        tenants, used = registry.list_all(connection), usage.by_tenant(connection)
    if tenants:
        show_tenants(tenants, used)
    else:
        echo("There are no tenants yet: `xeno tenant add` connects a store.")


@app.command("show")
def tenant_show(handle: Handle) -> None:
    """Show one tenant, how far each stream was read, what the last reconciliation found, and what was set aside."""
    from xeno_pipeline.cli.render import show_absent, show_reconciliations, show_set_aside, show_tenant
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.extraction import inbox, reconciliation_results
    from xeno_pipeline.extraction.state import load_states
    from xeno_pipeline.raw import set_aside
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry, usage

    with open_migrated(load_settings()).connect() as connection:
        tenant, used = registry.get(connection, handle), usage.by_tenant(connection, handle)
        show_tenant(tenant, load_states(connection, handle), used)
        show_reconciliations(reconciliation_results.latest_of(connection, [handle]))
        show_absent(handle, inbox.count_absent(connection, handle))
        show_set_aside(set_aside.list_objects(connection, handle))


@app.command("limit")
def tenant_limit(
    handle: Handle,
    points: Annotated[int | None, typer.Argument(min=1, help="API points a month (UTC); none lifts the limit.")] = None,
) -> None:
    """Set how many API points a month a store may be read with before its histories wait; changes are read on."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import usage

    with open_migrated(load_settings()).connect() as connection:
        usage.set_limit(connection, handle, points)
    echo(f"{handle} has no monthly limit." if points is None else f"{handle} is limited to {points:,} points a month.")


@app.command("suspend")
def tenant_suspend(handle: Handle) -> None:
    """Stop reading a store; its data stays."""
    _set_status(handle, "suspended")


@app.command("resume")
def tenant_resume(handle: Handle) -> None:
    """Read a suspended store again."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants.grants import has_grant

    _set_status(handle, "active")
    with open_migrated(load_settings()).connect() as connection:
        if not has_grant(connection, handle):
            warn(f"{handle}: no token is stored, so it cannot be read; give one with `xeno tenant set-token {handle}`.")


@app.command("remove")
def tenant_remove(
    handle: Handle,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even if webhooks came since it was exported, which would be lost.")
    ] = False,
) -> None:
    """Delete a store's data, token and state for good; nothing is changed at Shopify."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.moving.departure import count_unexported
    from xeno_pipeline.privacy.processing import erase_tenant
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    settings = load_settings()
    database = open_migrated(settings)
    with database.connect() as connection:
        registry.get(connection, handle)
        unexported = count_unexported(connection, handle)
    if unexported and not force:
        raise UsageError(
            f"{unexported} webhooks or privacy requests came to {handle} since it was exported: move them with `xeno "
            f"tenant export {handle} FILE --rest`, or give --force to lose them."
        )
    if not yes:
        typer.confirm(f"Delete everything of {handle}, for good?", abort=True)
    with database.connect() as connection:
        deleted = erase_tenant(connection, settings.exports_folder, handle, "`xeno tenant remove`")
    align(settings, database)
    echo(f"{handle} is removed; {deleted:,} rows were deleted.")


@app.command("bi-role")
def tenant_bi_role(
    handle: Annotated[str | None, typer.Argument(help="The tenant whose marts the role reads.")] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all", help="An operator's role instead, which sees all tenants.")
    ] = False,
    name: Annotated[
        str, typer.Option(help="Which role, where there are several: what logs in by it, such as `metabase`.")
    ] = "bi",
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Drop the role; what it has open sees nothing more.")
    ] = False,
    list_roles: Annotated[
        bool, typer.Option("--list", help="Show the roles that there are, of one tenant or of all.")
    ] = False,
    password: Annotated[
        str | None, typer.Option(help="`-` reads the password from standard input; else one is made up.")
    ] = None,
) -> None:
    """Create a read-only database role for a tenant's BI tool, or give it a new password; print how to connect."""
    from xeno_pipeline.cli.render import show_bi_role, show_bi_roles
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.database.roles import check_tool, grant_bi_role, list_bi_roles, password_address, revoke_bi_role
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    if not list_roles and (handle is None) != all_tenants:
        raise UsageError("Name one tenant, or give --all for a role that sees all of them.")
    check_tool(name)
    secret = read_secret(password, "password") if password is not None else None
    settings = load_settings()
    database = open_migrated(settings)
    if list_roles:
        with database.connect() as connection:
            if handle is not None:
                registry.get(connection, handle)
            show_bi_roles(list_bi_roles(connection, [] if handle is None else [handle]))
        return
    if revoke:
        with database.connect() as connection:
            if handle is not None:
                registry.get(connection, handle)
            revoked = revoke_bi_role(connection, handle, tool=name)
        echo("The role is dropped." if revoked else "There was no such role.")
        return
    if handle is not None:
        with database.connect() as connection:
            registry.active(connection, [handle])
    role = grant_bi_role(database, handle, secret, tool=name)
    is_embedded = settings.database_url is None
    with database.connect() as connection:
        address = password_address(connection, is_embedded=is_embedded)
    show_bi_role(role, address, settings.postgres_port if is_embedded else None)


def _set_status(handle: str, status: str) -> None:
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    settings = load_settings()
    database = open_migrated(settings)
    with database.connect() as connection:
        registry.set_status(connection, handle, status)
    align(settings, database)
    echo(f"{handle} is {status}.")
