"""From the result of a bulk operation to the rows of a load, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.mapping.fields import Node
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch, in_batches
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.shopify.bulk_result import Blocks, MalformedLineError, is_root, nodes_of


@dataclass(frozen=True)
class BlockEnd:
    """The end of a block: how many lines it had, and how many of these are objects themselves."""

    lines: int
    roots: int


Message = Batch | Refused | BlockEnd
"""What comes of a block: rows, records that do not fit, and its end."""


def map_block(blocks: Blocks, number: int, mapping: RowMapping, suppressed: Suppressed) -> Iterator[Message]:
    """Make the rows of a block.

    Args:
        number: the block's.
        suppressed: the persons whose data is left out.

    Raises:
        MalformedLineError: a line is not JSON.
    """
    start, lines = blocks.read(number)
    reading = _Reading(lines)
    refused: list[Refused] = []
    try:
        yield from in_batches(mapping.of_lines(reading.nodes(), suppressed, refused.append))
    except MalformedLineError as error:
        raise MalformedLineError(blocks.count_lines_before(start) + error.line) from None
    yield from refused
    yield BlockEnd(reading.lines, reading.roots)


class _Reading:
    """The nodes of some lines, counted."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self.lines = 0
        self.roots = 0

    def nodes(self) -> Iterator[Node]:
        for node in nodes_of(BytesIO(self._lines)):
            self.lines += 1
            self.roots += is_root(node)
            yield node
