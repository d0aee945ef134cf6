"""What goes wrong at Shopify every few seconds without anybody being to blame: it passes, and deserves no alert."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from shopify_sandbox.control import StoreControl

_FAULTS: Sequence[tuple[int, dict[str, Any]]] = (
    (4, {"kind": "throttled", "count": 3}),
    (2, {"kind": "status", "status": 500}),
    (1, {"kind": "status", "status": 503, "count": 2}),
    (1, {"kind": "status", "status": 429, "retry_after": "1.0"}),
    (2, {"kind": "internal_error"}),
    (1, {"kind": "reset", "executed": True}),
    (1, {"kind": "reset", "executed": False}),
    (1, {"kind": "hang", "seconds": 15.0}),
    (1, {"kind": "bulk_reset", "times": 2}),
)
"""What may go wrong, each with how often in proportion. Who waits for an event's object waits ten seconds."""


class Trouble:
    """Faults in stores.

    Args:
        stores: where they happen, by handle.
        seed: draws them.
    """

    def __init__(self, stores: Mapping[str, StoreControl], seed: int) -> None:
        self._stores, self._drawn = stores, random.Random(seed)
        self._ordered: Counter[str] = Counter()

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self._ordered.most_common())

    def happen(self) -> None:
        """Let one thing go wrong in one store, the next time that it is asked."""
        ((_, fault),) = self._drawn.choices(_FAULTS, [weight for weight, _ in _FAULTS])
        self._stores[self._drawn.choice(sorted(self._stores))].fault(**fault)
        self._ordered[fault["kind"]] += 1

    def end(self) -> None:
        """Nothing goes wrong any more."""
        for store in self._stores.values():
            store.clear_faults()
