"""What nodes of ids say of their objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from xeno_pipeline.raw.id_comparison import SeenId
from xeno_pipeline.shopify.records import changed_at, number_of

_DIGITS_OF_BIGINT = 19


@dataclass
class IdNodes:
    """Nodes of ids, which are iterated once.

    Args:
        kind: the objects' kind, such as `Order`.
        lost: how many nodes without a usable id there were so far.
    """

    nodes: Iterable[dict[str, Any]]
    kind: str
    lost: int = 0

    def __iter__(self) -> Iterator[SeenId]:
        for node in self.nodes:
            id_ = number_of(node.get("id"), self.kind)
            if id_ is None:
                self.lost += 1
                continue
            yield id_, changed_at(node), *_customer_figures(node.get("numberOfOrders"), node.get("statistics"))


def _customer_figures(orders: Any, statistics: Any) -> tuple[int | None, str | None]:
    """A customer's number of orders and RFM group; neither if one of them is malformed."""
    group = statistics.get("rfmGroup") if isinstance(statistics, dict) else None
    digits = str(orders) if isinstance(orders, str | int) else ""
    if not (digits.isascii() and digits.isdecimal() and len(digits) < _DIGITS_OF_BIGINT):
        return None, None
    return (int(digits), group) if group is None or (isinstance(group, str) and "\x00" not in group) else (None, None)
