"""Rows on their way to COPY, and who makes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.suppression import Suppressed

Row = tuple[str, bytes]
"""A table's name, and one of its rows in COPY's text format."""

_BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Some rows of one table.

    Args:
        table: its name.
        count: how many rows they are.
        data: the rows in COPY's text format, each with the line break that ends it.
    """

    table: str
    count: int
    data: bytes


BatchSource = Callable[[Suppressed, Callable[[Refused], None]], Generator[Batch, None, None]]
"""Makes the rows of a load without the personal data of suppressed customers, and reports records that do not fit."""


def in_batches(rows: Iterable[Row]) -> Iterator[Batch]:
    """Collect rows, in whatever order of tables, to batches of about a megabyte."""
    collected: defaultdict[str, list[bytes]] = defaultdict(list)
    sizes: defaultdict[str, int] = defaultdict(int)
    for table, row in rows:
        collected[table].append(row)
        sizes[table] += len(row)
        if sizes[table] > _BATCH_BYTES:
            yield _batch(table, collected.pop(table))
            del sizes[table]
    for table, rest in collected.items():
        yield _batch(table, rest)


def _batch(table: str, rows: list[bytes]) -> Batch:
    return Batch(table, len(rows), b"\n".join([*rows, b""]))
