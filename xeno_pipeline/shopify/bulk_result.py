"""The nodes in the result of a bulk operation: a line of JSON each; a nested one names its parent in `__parentId`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from xeno_pipeline.shopify.records import loads


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
