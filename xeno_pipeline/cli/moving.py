"""`xeno tenant export` and `import`: move a store to another installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xeno_pipeline.cli.arguments import Handle
from xeno_pipeline.cli.secret_input import read_or_ask, read_secret
from xeno_pipeline.cli.terminal import echo, warn

if TYPE_CHECKING:
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.moving.manifest import Manifest
    from xeno_pipeline.tenants.registry import Tenant


def tenant_export(
    handle: Handle,
    file: Annotated[Path, typer.Argument(help="The archive to write.")],
    rest: Annotated[
        bool, typer.Option("--rest", help="Only what came since it was exported: webhooks and privacy requests.")
    ] = False,
    key: Annotated[
        str | None, typer.Option(help="`-` reads the archive's key from standard input; else one is made and printed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it exists.")] = False,
) -> None:
    """Write everything of a store that cannot be made again to an archive, for another installation."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.exports.draft import check_target, draft_of
    from xeno_pipeline.moving import departure
    from xeno_pipeline.moving.key import make_key, ring_of
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants.credentials import load_key_ring

    settings = load_settings()
    secret = make_key() if key is None else read_secret(key, "key")
    archive_ring = ring_of(secret)
    target = check_target(file, replace=force)
    database = open_migrated(settings)
    display = ProgressDisplay()
    with (
        departure.hold_still(database, handle) as held,
        display.shown(),
        draft_of(target) as draft,
        draft.open("wb") as opened,
    ):
        if rest:
            manifest = departure.export_rest(database, held, opened, archive_ring, display.on_table)
        else:
            ring, app = load_key_ring(settings), settings.shopify_api_key
            manifest = departure.export_tenant(
                database, ring, held, opened, archive_ring, display.on_table, app_client_id=app
            )
    align(settings, database)
    rows = sum(table.rows for table in manifest.tables)
    echo(f"{handle}{' (the rest)' if rest else ''}: {rows:,} rows are in {file}.")
    if key is None:
        echo(f"The archive's key, which is shown only now: {secret}")


def tenant_import(
    file: Annotated[Path, typer.Argument(help="The archive: of `xeno tenant export`.")],
    key: Annotated[
        str | None, typer.Option(help="`-` reads the archive's key from standard input; else it is asked for.")
    ] = None,
    sync: Annotated[
        bool, typer.Option(help="Have webhooks sent here, read what changed meanwhile, and make the marts.")
    ] = True,
) -> None:
    """Take over a store from another installation, or the rest of what came to it there."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.defs.partitions import align
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.errors import UsageError
    from xeno_pipeline.moving.archive import ArchiveReader
    from xeno_pipeline.moving.arrival import import_archive
    from xeno_pipeline.moving.key import ring_of
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants.credentials import load_key_ring

    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    settings = load_settings()
    archive_ring = ring_of(read_or_ask(key, "key", "The archive's key"))
    archive = ArchiveReader(file, archive_ring)
    display = ProgressDisplay()
    pipeline = Pipeline(settings, display.on_progress, display.on_node)
    _ = pipeline.dbt_project  # the relations of the marts, two of which are loaded
    with display.shown():
        imported = import_archive(pipeline.database, load_key_ring(settings), archive, archive_ring, display.on_table)
    archive.close()
    align(settings, pipeline.database)
    tenant = imported.tenant
    for note in imported.notes:
        warn(note)
    if archive.manifest.kind == "rest":
        echo(f"{tenant.tenant_id} (the rest): {imported.rows:,} rows are new. It can be removed from where it was.")
        return
    echo(f"{tenant.tenant_id} is imported: {imported.rows:,} rows.")
    _warn_of_other_app(pipeline, archive.manifest)
    if tenant.status != "active":
        echo(f"{tenant.tenant_id} is {tenant.status}, as it was: `xeno tenant resume {tenant.tenant_id}` reads it.")
    elif sync:
        _take_over(pipeline, tenant)


def _warn_of_other_app(pipeline: Pipeline, manifest: Manifest) -> None:
    """Warn where tokens and webhooks come from another app at Shopify than this installation's."""
    here, there = pipeline.settings.shopify_api_key, manifest.app_client_id
    if manifest.own_app is None and there is not None and here != there:
        warn(
            f"{manifest.tenant_id} was connected through the app {there}, and XENO_SHOPIFY_API_KEY is "
            f"{here or 'not set'} here: until it is the same, webhooks are refused and expiring tokens are not renewed."
        )


def _take_over(pipeline: Pipeline, tenant: Tenant) -> None:
    """Have the store's webhooks sent here, then read what changed before they were, and make the marts."""
    from xeno_pipeline.cli import run
    from xeno_pipeline.cli.render import show_registrations
    from xeno_pipeline.tenants.subscriptions import callback_url, register

    handle, public_url = tenant.tenant_id, pipeline.settings.public_url
    if public_url is None:
        warn(
            f"XENO_PUBLIC_URL is not set, so webhooks of {handle} go where they went: set it, and run "
            f"`xeno webhooks register {handle}`."
        )
    else:
        show_registrations(register(pipeline.database, pipeline.syncer.client_of, [tenant], callback_url(public_url)))
    run.sync([handle], stream=None, full=False, accept_deletions=False, since=None, until=None, transform=True)
    echo(
        f"What came to {handle} where it was until now: `xeno tenant export {handle} FILE --rest` there, and "
        f"`xeno tenant import FILE` here; then `xeno tenant remove {handle}` there."
    )
