"""The nodes in the result of a bulk operation: a line of JSON each; a nested one names its parent in `__parentId`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from xeno_pipeline.shopify.records import loads

_LINE_BYTES = 1 << 14
"""Most lines are shorter."""


class MalformedLineError(ValueError):
    """A line is not JSON.

    Args:
        line: its number, from 1.
    """

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def nodes_of(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The nodes, line by line. A line of JSON that is not an object gives an empty node.

    Raises:
        MalformedLineError: a line is not JSON.
    """
    fast = orjson.loads
    for index, line in enumerate(lines, start=1):
        try:
            node = fast(line)
        except ValueError:
            try:
                node = loads(line)
            except ValueError:
                raise MalformedLineError(index) from None
        yield node if isinstance(node, dict) else {}


def is_root(node: dict[str, Any]) -> bool:
    """Whether a node is an object itself. An empty one counts as such."""
    return "__parentId" not in node


@dataclass(frozen=True)
class Blocks:
    """A result as blocks of whole lines, which several processes may read at once: the file's position stays as it is.

    Args:
        descriptor: of the file.
        size: the file's, in bytes.
        block_bytes: a line belongs to the block of so many bytes in which it begins.
    """

    descriptor: int
    size: int
    block_bytes: int

    @property
    def count(self) -> int:
        """How many blocks there are. Where a line is longer than a block, some are empty."""
        return -(-self.size // self.block_bytes)

    def read(self, number: int) -> tuple[int, bytes]:
        """A block, by its number from 0: where its first line begins, and its lines."""
        start = number * self.block_bytes
        end = start + self.block_bytes
        if start:
            ends = self._end_of_line(start - 1, end)
            if ends is None:
                return end, b""
            start = ends
        lines = self._read(start, end)
        if lines and not lines.endswith(b"\n"):
            lines += self._read(end, self._end_of_line(end, self.size) or self.size)
        return start, lines

    def count_lines_before(self, offset: int) -> int:
        """How many lines end before an offset."""
        blocks = range(0, offset, self.block_bytes)
        return sum(self._read(start, min(start + self.block_bytes, offset)).count(b"\n") for start in blocks)

    def _end_of_line(self, start: int, end: int) -> int | None:
        """Where the line that holds the byte at `start` is over; None if it goes on until `end`."""
        for at in range(start, end, _LINE_BYTES):
            found = self._read(at, min(at + _LINE_BYTES, end)).find(b"\n")
            if found >= 0:
                return at + found + 1
        return None

    def _read(self, start: int, end: int) -> bytes:
        parts = []
        while start < end and (part := os.pread(self.descriptor, end - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)
