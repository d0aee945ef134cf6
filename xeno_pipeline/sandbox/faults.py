"""Faults that a test orders: a queue of what should go wrong with the next matching request or bulk operation."""

from __future__ import annotations

import threading
from typing import Any

REQUEST_FAULTS = ("throttled", "status", "reset", "hang", "internal_error", "access_denied")
BULK_FAULTS = ("bulk_fail", "bulk_expire", "bulk_stuck", "bulk_truncate", "bulk_reset", "bulk_malformed")
OTHER_FAULTS = ("refuse_ledger", "bulk_slots")


class Faults:
    """The faults waiting at one store.

    Each is an object with its `kind`, how often it applies (`count`, once by default), for request faults the
    `operation` name it waits for (any by default), and what its kind takes:

    - `throttled`, `internal_error`, `reset`; `status`: `status`, `retry_after`; `hang`: `seconds`;
      `access_denied`: `field`, `scope`
    - `bulk_fail`: `code`; `bulk_expire`; `bulk_stuck`; `bulk_truncate`: `bytes`; `bulk_reset`: `bytes`, `times`;
      `bulk_malformed`: `line`
    - `refuse_ledger`; `bulk_slots`: `slots` (stays until it is set again)
    """

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self.occupied_slots = 0

    def order(self, faults: list[dict[str, Any]]) -> None:
        """Add faults to the queue.

        Raises:
            ValueError: For a kind there is not.
        """
        for fault in faults:
            if fault.get("kind") not in (*REQUEST_FAULTS, *BULK_FAULTS, *OTHER_FAULTS):
                kinds = ", ".join((*REQUEST_FAULTS, *BULK_FAULTS, *OTHER_FAULTS))
                raise ValueError(f"There is no fault {fault.get('kind')!r}: {kinds}.")
        with self._lock:
            for fault in faults:
                if fault["kind"] == "bulk_slots":
                    self.occupied_slots = int(fault.get("slots", 5))
                else:
                    self._waiting.append(fault | {"count": int(fault.get("count", 1))})

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()
            self.occupied_slots = 0

    def waiting(self) -> list[dict[str, Any]]:
        """The faults that were ordered and have not happened yet."""
        with self._lock:
            return list(self._waiting)

    def take(self, *kinds: str, operation: str | None = None) -> dict[str, Any] | None:
        """The next fault of these kinds for an operation, used up by this."""
        with self._lock:
            for fault in self._waiting:
                if fault["kind"] in kinds and fault.get("operation") in (None, operation):
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self._waiting.remove(fault)
                    return dict(fault)
        return None

    def take_for_request(self, operation: str | None) -> dict[str, Any] | None:
        """The next fault for a GraphQL request."""
        return self.take(*REQUEST_FAULTS, operation=operation)

    def take_for_bulk(self) -> dict[str, Any] | None:
        """The next fault for a bulk operation."""
        return self.take(*BULK_FAULTS)
