"""From the result of a bulk operation to the rows of a load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.mapping.fields import Node
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch, in_batches
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.shopify.bulk_result import is_root, nodes_of


@dataclass(frozen=True)
class Progress:
    """How far a result is read: how many lines, and how many of these are objects themselves."""

    lines: int
    roots: int


Message = Batch | Refused | Progress
"""What comes of a result: rows, a record that does not fit, and now and then, and at its end, how far it is read."""


def map_lines(lines: Iterable[bytes], mapping: RowMapping, suppressed: Suppressed) -> Iterator[Message]:
    """Make rows, holding no more than a few megabytes at once.

    Args:
        lines: the result's.
        suppressed: the persons whose data is left out.

    Raises:
        MalformedLineError: a line is not JSON.
    """
    reading = _Reading(lines)
    refused: list[Refused] = []
    for batch in in_batches(mapping.of_lines(reading.nodes(), suppressed, refused.append)):
        yield from refused
        refused.clear()
        yield batch
        yield reading.progress()
    yield from refused
    yield reading.progress()


class _Reading:
    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self._count = 0
        self._roots = 0

    def nodes(self) -> Iterator[Node]:
        for node in nodes_of(self._lines):
            self._count += 1
            self._roots += is_root(node)
            yield node

    def progress(self) -> Progress:
        return Progress(self._count, self._roots)
