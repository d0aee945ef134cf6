"""`xeno segment`: saved segments of customers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from xeno_pipeline.cli.arguments import Handle
from xeno_pipeline.cli.terminal import echo, err, make_table, out, print_error, warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from xeno_pipeline.database.connection import Connection
    from xeno_pipeline.segments.compile import CompiledQuery

_BY_ITSELF = ", where Dagster's daemon runs; else by `xeno transform {}`."

app = typer.Typer(no_args_is_help=True, help="Segments of customers, in Shopify's segment query language.")

SegmentName = Annotated[str, typer.Argument(metavar="SEGMENT", help="Its name, or its number.")]


@app.command("add")
def segment_add(
    store: Handle,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    query: Annotated[str, typer.Argument(help="Who is in it: 'number_of_orders >= 5'; `-` reads standard input.")],
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
) -> None:
    """Save a segment, and say how many customers are in it now."""
    from xeno_pipeline.segments import registry
    from xeno_pipeline.segments.compile import compile_query
    from xeno_pipeline.segments.errors import SegmentQueryError

    text = sys.stdin.read() if query == "-" else query
    try:
        compiled = compile_query(text)
    except SegmentQueryError as error:
        err.print(error.pointed_at(text), markup=False)
        print_error(str(error))
        raise typer.Exit(error.exit_code) from None
    with _open(store) as connection:
        saved = registry.save_segment(connection, store, name, text, description)
        customers = _count(connection, store, compiled)
    echo(f"{saved.name} is saved as number {saved.segment_id}: {customers}.")
    echo(f"Its members are in the marts within seconds{_BY_ITSELF.format(store)}")


@app.command("list")
def segment_list(store: Handle) -> None:
    """Show a store's segments, with their members as of the last transform."""
    from xeno_pipeline.segments import registry

    with _open(store) as connection:
        saved = registry.list_segments(connection, store)
        made = {
            row[0]: row[1:]
            for row in connection.execute(
                "select segment_id, customers, share_of_customers, net_sales, joined_30d, left_30d "
                "from segments where tenant_id = %s",
                [store],
            )
        }
    if not saved:
        echo(f"{store} has no segments: `xeno segment starters {store}` adds some to begin with.")
        return
    table = make_table("number", "segment", "customers", "share", "net sales", "joined in 30 days", "left", "query")
    for segment in saved:
        shown = ["–"] * 5
        if segment.segment_id in made:
            customers, share, net_sales, joined, left = made[segment.segment_id]
            shown = [f"{customers:,}", f"{share:.1%}", f"{net_sales:,.2f}", f"{joined:,}", f"{left:,}"]
        table.add_row(str(segment.segment_id), segment.name, *shown, segment.query)
    out.print(table)
    for segment in saved:
        if segment.problem:
            warn(f"{segment.name}: {segment.problem} Its members are those of before.")


@app.command("show")
def segment_show(store: Handle, segment: SegmentName) -> None:
    """Show a segment, how many are in it now, and who joined last."""
    from xeno_pipeline.segments import registry
    from xeno_pipeline.segments.compile import compile_query
    from xeno_pipeline.segments.errors import SegmentQueryError

    with _open(store) as connection:
        found = registry.find_segment(connection, store, segment)
        echo(f"{found.name} (number {found.segment_id}, changed {found.changed_at:%Y-%m-%d %H:%M %Z})")
        if found.description:
            echo(found.description)
        echo(found.query)
        if found.problem:
            warn(f"{found.problem} Its members are those of before.")
        try:
            echo(f"Now: {_count(connection, store, compile_query(found.query))}.")
        except SegmentQueryError as error:
            err.print(error.pointed_at(found.query), markup=False)
            print_error(str(error))
        members = connection.execute(
            "select customer_id, joined_on, net_sales_when_joined, orders_when_joined from segment_members "
            "where (tenant_id, segment_id) = (%s, %s) order by joined_on desc, customer_id limit 10",
            [store, found.segment_id],
        ).fetchall()
    table = make_table("customer", "joined", "net sales then", "orders then")
    for customer_id, joined_on, net_sales, orders in members:
        table.add_row(str(customer_id), f"{joined_on}", f"{net_sales:,.2f}", f"{orders:,}")
    if members:
        echo("Who joined last:")
        out.print(table)


@app.command("remove")
def segment_remove(store: Handle, segment: SegmentName) -> None:
    """Remove a segment."""
    from xeno_pipeline.segments import registry

    with _open(store) as connection:
        found = registry.find_segment(connection, store, segment)
        registry.remove_segment(connection, store, found.segment_id)
    echo(f"{found.name} is removed. It leaves the marts within seconds{_BY_ITSELF.format(store)}")


@app.command("starters")
def segment_starters(store: Handle) -> None:
    """Add segments to begin with: champions, about to leave, one-time buyers, big spenders, abandoned lately."""
    from xeno_pipeline.segments import registry
    from xeno_pipeline.segments.compile import compile_query

    with _open(store) as connection:
        added = registry.add_starters(connection, store)
        for segment in added:
            echo(f"{segment.name}: {_count(connection, store, compile_query(segment.query))}.")
    if added:
        echo(f"Their members are in the marts within seconds{_BY_ITSELF.format(store)}")
    else:
        echo(f"{store} has them all already.")


def _open(store: str) -> AbstractContextManager[Connection]:
    """A connection that finds the marts, where there is such a tenant."""
    from contextlib import contextmanager

    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.errors import UsageError
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    @contextmanager
    def opened() -> Iterator[Connection]:
        with open_migrated(load_settings()).connect() as connection:
            registry.get(connection, store)
            if connection.execute("select to_regclass('marts.segments')").fetchone() == (None,):
                raise UsageError("The marts are not made yet: run `xeno db migrate` once.")
            connection.execute("set search_path = marts")
            yield connection

    return opened()


def _count(connection: Connection, store: str, query: CompiledQuery) -> str:
    from xeno_pipeline.segments.members import count_members

    members = count_members(connection, store, query)
    return f"{members.customers:,} of {members.all_customers:,} customers, with net sales of {members.net_sales:,.2f}"
