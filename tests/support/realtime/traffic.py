"""Traffic: what merchants and their customers do in several stores, drawn, at a steady pace."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shopify_sandbox.control import ControlError, StoreControl

_CHANGES: Sequence[tuple[int, str, dict[str, Any]]] = (
    (6, "place_order", {}),
    (4, "place_order", {"new_customer": True}),
    (2, "place_order", {"guest": True}),
    (2, "edit_order", {}),
    (1, "edit_order", {"remove": True}),
    (2, "refund", {}),
    (2, "refund", {"partial": True}),
    (1, "cancel_order", {}),
    (2, "update_order", {}),
    (1, "delete_order", {}),
    (3, "update_customer", {}),
    (2, "update_product", {}),
    (1, "create_product", {}),
    (2, "start_checkout", {}),
    (1, "complete_checkout", {}),
)
"""What may happen, each with how often in proportion."""

Order = tuple[str, int]
"""Of which store, and its id."""


@dataclass
class Traffic:
    """Events in stores.

    Args:
        stores: where they happen, by handle.
        seed: draws them.
        events: how many happened.
        placed: when each order was placed, in seconds since 1970.
    """

    stores: Mapping[str, StoreControl]
    seed: int
    events: int = 0
    placed: dict[Order, float] = field(default_factory=dict)

    def run(self, seconds: float, rate: float) -> None:
        """Let so many events happen a second; where what was drawn cannot be, an order is placed."""
        drawn = random.Random(f"{self.seed}/{self.events}")
        started = time.monotonic()
        for number in range(round(seconds * rate)):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            ((_, action, options),) = drawn.choices(_CHANGES, [weight for weight, _, _ in _CHANGES])
            self._happen(drawn.choice(sorted(self.stores)), action, options)

    def _happen(self, handle: str, action: str, options: dict[str, Any]) -> None:
        at, store = time.time(), self.stores[handle]
        try:
            touched = store.post(action, **options)
        except ControlError:
            action, touched = "place_order", store.place_order()
        if action == "place_order":
            (order,) = touched["orders"]
            self.placed[handle, order] = at
        self.events += 1
