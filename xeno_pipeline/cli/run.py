"""`xeno sync`, `reconcile` and `transform`: runs recorded in Dagster."""

from __future__ import annotations

from typing import Annotated

import typer

from xeno_pipeline.cli.arguments import Handles, active_handles


def sync(
    tenants: Handles = None,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be repeated.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read the history again, and mark absent objects as deleted.")
    ] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Mark them even if more than one per cent are.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="With --full: only what was created on this day in the shop or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="With --full: only what was created up to this day.")] = None,
    transform: Annotated[bool, typer.Option(help="Bring the marts up to date afterwards.")] = True,
) -> None:
    """Read stores: their history the first time, afterwards what changed."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.cli.run_report import has_failed, show_reasons, show_skipped, show_sync, show_transform
    from xeno_pipeline.defs.config import SyncConfig
    from xeno_pipeline.defs.jobs.names import SYNC_JOB
    from xeno_pipeline.defs.launch import run_extraction
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.extraction.streams import check_streams
    from xeno_pipeline.settings import load_settings

    display = ProgressDisplay()
    pipeline = Pipeline(load_settings(), display.on_progress, display.on_node)
    how = SyncConfig(full=full, accept_deletions=accept_deletions, since=since, until=until)
    streams = check_streams(stream or [])
    how.request(streams)  # days that are none are refused before anything starts
    handles = active_handles(pipeline, tenants)
    config = {**how.model_dump(), "streams": list(streams), "transform": transform}
    with display.shown():
        extracted, report = run_extraction(pipeline, SYNC_JOB, handles, config)
    show_sync(extracted.results)
    if transform:
        show_transform(report)
    show_skipped(handles, extracted.tenant_ids)
    if show_reasons(extracted.failures, report.afterwards) or report.failures or has_failed(extracted.results):
        raise typer.Exit(1)


def reconcile(
    tenants: Handles = None,
    full: Annotated[bool, typer.Option("--full", help="Read all ids, whatever the counts say.")] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions", help="Mark absent objects as deleted even if they are more than one per cent."
        ),
    ] = False,
) -> None:
    """Compare what was read with what Shopify has, and mend what differs; every night does so by itself."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.cli.render import show_reconciliations
    from xeno_pipeline.cli.run_report import has_failed, show_failures, show_reasons, show_skipped, show_transform
    from xeno_pipeline.defs.jobs.names import RECONCILE_JOB
    from xeno_pipeline.defs.launch import run_extraction
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.extraction import reconciliation_results
    from xeno_pipeline.settings import load_settings

    display = ProgressDisplay()
    pipeline = Pipeline(load_settings(), display.on_progress, display.on_node)
    handles = active_handles(pipeline, tenants)
    with display.shown():
        config = {"full": full, "accept_deletions": accept_deletions}
        extracted, report = run_extraction(pipeline, RECONCILE_JOB, handles, config)
    with pipeline.database.connect() as connection:
        show_reconciliations(reconciliation_results.latest_of(connection, handles))
    show_failures(extracted.results)
    show_transform(report)
    show_skipped(handles, extracted.tenant_ids)
    if show_reasons(extracted.failures, report.afterwards) or report.failures or has_failed(extracted.results):
        raise typer.Exit(1)


def transform(
    tenants: Handles = None,
    as_of: Annotated[str | None, typer.Option(help='What "today" is, as 2026-06-30.')] = None,
    test: Annotated[bool, typer.Option("--test", help="Run the dbt tests too.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Compare all rows of their marts, not only what changed.")
    ] = False,
) -> None:
    """Bring marts up to date with what was read."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.cli.run_report import show_reasons, show_skipped, show_transform
    from xeno_pipeline.defs.config import parse_date
    from xeno_pipeline.defs.launch import run_transform
    from xeno_pipeline.defs.resources import Pipeline
    from xeno_pipeline.settings import load_settings

    parse_date(as_of)
    display = ProgressDisplay()
    pipeline = Pipeline(load_settings(), on_node=display.on_node)
    handles = active_handles(pipeline, tenants)
    with display.shown():
        config = {"as_of": as_of, "test": test, "only_due": not test, "rebuild": rebuild}
        report = run_transform(pipeline, handles, config)
    show_transform(report)
    show_skipped(handles, report.requested_tenant_ids)
    if show_reasons(report.afterwards) or report.failures or report.failed_tests:
        raise typer.Exit(1)
