"""Lines on the terminal: results on standard output, warnings and errors on standard error."""

from __future__ import annotations

import sys
from typing import Literal

from rich.console import Console
from rich.table import Table

_WIDTH_OF_A_PIPE = 160
_TEXT_COLUMNS = {"set aside", "of", "reason", "tenant", "stream", "read by"}
_TEXT_COLUMNS |= {"segment", "query"}
_TEXT_COLUMNS |= {"shop", "currency", "time zone", "plan", "status", "sees all orders"}
_TEXT_COLUMNS |= {"name", "may", "session", "person"}
"""Columns of text, which are aligned to the left; numbers are aligned to the right."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def echo(text: str) -> None:
    """Print a line, however long."""
    out.print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning, loudly."""
    err.print(f"WARNING  {text}", style="bold yellow", markup=False)


def print_error(text: str) -> None:
    """Print what went wrong."""
    err.print(text, style="bold red", markup=False)


def make_table(*headers: str) -> Table:
    """An empty table with these columns."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in headers:
        justify: Literal["left", "right"] = "left" if header in _TEXT_COLUMNS else "right"
        table.add_column(header, justify=justify, no_wrap=not sys.stdout.isatty())
    return table
