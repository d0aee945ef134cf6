"""The tour that `make demo` gives: stores are connected, read and modelled through Dagster, and shown."""

from __future__ import annotations

import time

from rich.console import RenderableType
from rich.table import Table

from xeno_pipeline.cli.progress import ProgressDisplay
from xeno_pipeline.cli.render import show_tenants
from xeno_pipeline.cli.run_report import show_sync, show_transform
from xeno_pipeline.cli.terminal import echo, out
from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.defs.launch import run_extraction
from xeno_pipeline.defs.partitions import align
from xeno_pipeline.defs.resources import Pipeline
from xeno_pipeline.demo.insights import save_demo_segment, show_insights
from xeno_pipeline.demo.left_insights import leave_insights
from xeno_pipeline.demo.processes import VISITOR, exit_on_sigterm, sign_in_path
from xeno_pipeline.demo.real_time import Comparison, await_marts, let_things_happen, served
from xeno_pipeline.demo.stores import ServedStores, connect_demo_stores, serve_demo_stores
from xeno_pipeline.demo.tables import tenant_summary
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.registry import Tenant


class DemoFailedError(XenoError):
    """Something that the demo shows did not come about."""


def give_tour(settings: Settings) -> None:
    """Run the demo; a second time it reads what changed since.

    Raises:
        DemoFailedError: a store could not be read or modelled.
    """
    exit_on_sigterm()
    started = time.monotonic()
    display = ProgressDisplay()
    pipeline = Pipeline(settings, display.on_progress, display.on_node)
    _headline(1, "A database: PostgreSQL, migrated, with the relations that dbt makes")
    database = pipeline.database
    _ = pipeline.dbt_project
    echo(f"It is {database.place}.")

    _headline(2, "Three stores, each in its own time zone and currency, connected as tenants")
    with serve_demo_stores(settings, database) as stores:
        tenants = connect_demo_stores(settings, database, stores.url)
        save_demo_segment(database, tenants[0])
        align(settings, database)
        show_tenants(tenants)

        _headline(3, "Extracted into raw, and modelled into marts, in a run of Dagster's")
        with served(settings, stores, tenants):  # from here on, so that Dagster has started when events come
            _materialise(pipeline, display, tenants)

            _headline(4, "What the marts say")
            with database.connect() as connection:
                for tenant in tenants:
                    out.print(tenant_summary(connection, tenant))

            _headline(5, "Orders, a refund and a cancellation: webhooks to the gateway, a run of Dagster's, the marts")
            _show_real_time(database, stores, tenants)

    _headline(6, "Asked without SQL: a segment in Shopify's language, and a key for the API")
    url = leave_insights(settings)
    show_insights(url, database, tenants[0])

    _headline(7, "Where everything is, and what to try next")
    out.print(_what_next(settings, tenants))
    echo(f"\nDone in {time.monotonic() - started:.0f} s. The dashboard, by a link that works once:\n")
    echo(f"{url}{sign_in_path(database, VISITOR)}")


def _materialise(pipeline: Pipeline, display: ProgressDisplay, tenants: list[Tenant]) -> None:
    with display.shown():
        extracted, report = run_extraction(pipeline, SYNC_JOB, [tenant.tenant_id for tenant in tenants], {})
    show_sync(extracted.results)
    show_transform(report)
    if report.failures or any(isinstance(result, StreamFailure) for result in extracted.results):
        raise DemoFailedError("The demo did not come to its end: see above what failed, and run it again.")


def _show_real_time(database: Database, stores: ServedStores, tenants: list[Tenant]) -> None:
    controls = [stores.control(tenant) for tenant in tenants]
    comparison = Comparison(database, tenants)
    since = time.time()
    let_things_happen(controls)
    arrival = await_marts(database, controls, since)
    out.print(comparison.table())
    took = f"{arrival.median:.0f} s (median), {arrival.last:.0f} s at most"
    echo(f"{arrival.webhooks} webhooks; from event to mart {took}.")


def _headline(number: int, text: str) -> None:
    out.print(f"\n[bold cyan]{number}. {text}")


def _what_next(settings: Settings, tenants: list[Tenant]) -> RenderableType:
    query = f"select * from marts.revenue_daily where tenant_id = '{tenants[0].tenant_id}' order by date_day"
    lines = {
        "All local state": str(settings.home),
        "The graph, its partitions and runs": f"make dev, then http://127.0.0.1:{settings.dagster_port}",
        "The marts, in SQL": f'.venv/bin/xeno db psql -c "{query}"',
        "Read again what changed": ".venv/bin/xeno sync (while make dev runs)",
        "A store of your own": "echo $TOKEN | .venv/bin/xeno tenant add HANDLE --token -",
        "Stop the database and the dashboard": ".venv/bin/xeno db stop",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for what, how in lines.items():
        table.add_row(what, how)
    return table
