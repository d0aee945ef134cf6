"""What calls to Shopify cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Usage:
    """The cost of a client's calls so far. One thread counts; others may read."""

    requests: int = 0
    points: float = 0.0
    retries: int = 0
    bytes: int = 0
    seconds_waiting: float = 0.0
    """Waiting for the cost bucket to refill, and between attempts."""


def total(usages: Iterable[Usage]) -> Usage:
    """The cost of several clients together."""
    counted = list(usages)
    return Usage(**{name: sum(getattr(usage, name) for usage in counted) for name in vars(Usage())})
