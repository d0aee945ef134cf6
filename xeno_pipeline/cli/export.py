"""`xeno export`: a mart as a file, or on standard output; and `xeno tenant bi-bundle`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xeno_pipeline.cli.arguments import Handle
from xeno_pipeline.cli.terminal import echo
from xeno_pipeline.errors import UsageError

if TYPE_CHECKING:
    from xeno_pipeline.exports.selection import Selection

_DAY = ["%Y-%m-%d"]
_STANDARD_OUTPUT = "-"


class Format(StrEnum):
    """Of an exported file."""

    CSV = "csv"
    PARQUET = "parquet"


def export(
    handle: Handle,
    mart: Annotated[str, typer.Argument(help="The mart: `fct_orders`, `dim_customers`, …")],
    to: Annotated[str, typer.Option(help="The file: FILE.csv or FILE.parquet; `-` is standard output.")],
    since: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="The first day, in the shop's time zone.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="The last day.")] = None,
    segment: Annotated[
        str | None, typer.Option(help="Only of customers in this saved segment now: its name or number.")
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Where the file's name does not say it; CSV on standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it exists.")] = False,
) -> None:
    """Write a mart of a store to a CSV or Parquet file, its columns and rows in a fixed order."""
    from xeno_pipeline.cli.progress import ProgressDisplay
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.exports.contract import find_mart
    from xeno_pipeline.exports.draft import check_target
    from xeno_pipeline.exports.run import Exporter
    from xeno_pipeline.exports.selection import Selection
    from xeno_pipeline.segments.registry import find_segment
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    found = find_mart(mart)
    wanted = _format_of(to, file_format)
    target = None if to == _STANDARD_OUTPUT else check_target(Path(to), replace=force)
    days = (since.date() if since else None, until.date() if until else None)
    selection = Selection(handle, found, *days)
    database = open_migrated(load_settings())
    if segment is not None:
        with database.connect() as connection:
            segment_id = find_segment(connection, registry.get(connection, handle).tenant_id, segment).segment_id
        selection = Selection(handle, found, *days, segment_id)
    display = ProgressDisplay()
    exporter = Exporter(database, lambda rows: display.on_rows(_title(selection), rows))
    with display.shown():
        if target is None:
            _print(exporter.stream(selection, wanted))
        else:
            rows = exporter.write(selection, wanted, target)
    if target is not None:
        echo(f"{_title(selection)}: {rows:,} rows are in {to}.")


def bi_bundle(
    handle: Handle,
    to: Annotated[Path | None, typer.Option(help="The file; HANDLE-superset.zip without.")] = None,
    role: Annotated[str | None, typer.Option(help="The database role of its BI tool, where it has several.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it exists.")] = False,
) -> None:
    """Write a ZIP for Apache Superset: the store's marts as datasets, and a dashboard; the password is not in it."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.database.roles import bi_roles_of, password_address
    from xeno_pipeline.exports.draft import check_target, draft_of
    from xeno_pipeline.exports.superset.bundle import choose_role, database_file, make_bundle
    from xeno_pipeline.settings import load_settings
    from xeno_pipeline.tenants import registry

    settings = load_settings()
    is_embedded = settings.database_url is None
    with open_migrated(settings).connect() as connection:
        (tenant,) = registry.active(connection, [handle])
        chosen = choose_role(handle, bi_roles_of(connection, handle), role)
        address = password_address(connection, is_embedded=is_embedded)
    if address is None:
        raise UsageError(
            "No BI tool reaches the embedded database yet: set XENO_POSTGRES_PORT (5433, for example) and run "
            "`xeno db stop`; the next command starts it with that port."
        )
    path = to or Path(f"{handle}-superset.zip")
    target = check_target(path, replace=force)
    with draft_of(target) as draft:
        draft.write_bytes(make_bundle(tenant, address, chosen))
    echo(f"{path} is for Superset's assets import, which takes the password of {chosen} for {database_file(handle)}.")


def _format_of(to: str, given: Format | None) -> Format:
    """The format that is asked for, by an option or by a file's name.

    Raises:
        UsageError: neither says which.
    """
    if given is not None:
        return given
    suffix = Path(to).suffix.lower().removeprefix(".")
    if to == _STANDARD_OUTPUT:
        return Format.CSV
    if suffix not in list(Format):
        raise UsageError(f"{to!r} does not end in .csv or .parquet: name the file so, or give --format.")
    return Format(suffix)


def _title(selection: Selection) -> str:
    return f"{selection.tenant_id} {selection.mart.name}"


def _print(chunks: Iterable[bytes]) -> None:
    """Write to standard output; whoever reads it may stop before the end, as `head` does."""
    try:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush does not fail
        raise typer.Exit(1) from None
