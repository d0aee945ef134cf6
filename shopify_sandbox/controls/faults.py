"""Faults that a test orders: a queue of what should go wrong with the next matching request or bulk operation."""

from __future__ import annotations

import threading
from typing import Any

REQUEST_FAULTS: dict[str, frozenset[str]] = {
    "throttled": frozenset(),
    "status": frozenset({"status", "retry_after"}),
    "reset": frozenset({"executed"}),
    "hang": frozenset({"seconds", "executed"}),
    "internal_error": frozenset(),
    "timeout": frozenset({"above"}),
    "access_denied": frozenset({"field", "scope"}),
}
"""What can go wrong with a GraphQL request, and what each takes besides `operation` and `count`."""

BULK_FAULTS: dict[str, frozenset[str]] = {
    "bulk_fail": frozenset({"code"}),
    "bulk_expire": frozenset(),
    "bulk_stuck": frozenset(),
    "bulk_truncate": frozenset({"bytes"}),
    "bulk_reset": frozenset({"bytes", "times"}),
    "bulk_malformed": frozenset({"line"}),
}
"""What can go wrong with a bulk operation, and what each takes besides `connection` and `count`."""

OTHER_FAULTS: dict[str, frozenset[str]] = {
    "refuse_ledger": frozenset({"count"}),
    "bulk_slots": frozenset({"slots"}),
}
"""What else can be ordered, and all that each takes."""

BULK_ERROR_CODES = ("ACCESS_DENIED", "INTERNAL_SERVER_ERROR", "TIMEOUT")

_OPTIONS: dict[str, frozenset[str]] = {
    **{kind: options | {"operation", "count"} for kind, options in REQUEST_FAULTS.items()},
    **{kind: options | {"connection", "count"} for kind, options in BULK_FAULTS.items()},
    **OTHER_FAULTS,
}

Fault = dict[str, Any]


class Faults:
    """The faults waiting at one store.

    Each is an object with its `kind`, how often it applies (`count`, once by default), and

    - for the next GraphQL request or request for tokens, or the next of an `operation`: `throttled`; `internal_error`;
      `timeout`, only of requests for more than so many objects (`above`), where that is said;
      `reset`, the connection drops within the answer; `status` (500 by default) with `retry_after` where it is 429;
      `hang`, no answer for `seconds` (30), then the connection drops; `access_denied` to a `field`, for want of a
      `scope`.
      A request that was reset or hangs did nothing, or did what it should where it is to be `executed`
    - for the next bulk operation, or the next that reads a `connection` (`orders`): `bulk_fail` with a `code`;
      `bulk_expire`; `bulk_stuck`, it stays RUNNING; and of its download: `bulk_truncate`, it ends early but cleanly
      after `bytes` (half, by default); `bulk_reset`, the connection drops after `bytes`, so many `times` (once);
      `bulk_malformed`, a `line` (the third) is garbled
    - `refuse_ledger`: bulk takes no query of agreements; `bulk_slots`: so many `slots` (all five) are taken by
      others' operations, until it is ordered again
    """

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()
        self.occupied_slots = 0

    def order(self, faults: list[Fault]) -> None:
        """Add faults to the queue.

        Raises:
            ValueError: For a kind there is not, or what its kind does not take; nothing was added then.
        """
        for fault in faults:
            _check(fault)
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

    def waiting(self) -> list[Fault]:
        """The faults that were ordered and have not happened yet."""
        with self._lock:
            return [dict(fault) for fault in self._waiting]

    def take_for_request(self, operation: str | None, size: int = 1) -> Fault | None:
        """The next fault for a GraphQL request, given the number of objects that it asks for."""
        return self._take(REQUEST_FAULTS, "operation", {operation}, size)

    def take_for_bulk(self, connections: set[str]) -> Fault | None:
        """The next fault for a bulk operation, given the connections at the root of its query."""
        return self._take(BULK_FAULTS, "connection", connections)

    def take_refusal(self) -> bool:
        """Whether the ledger is refused this time."""
        return self._take(("refuse_ledger",), "connection", set()) is not None

    def _take(self, kinds: Any, target: str, targets: set[Any], size: int = 1) -> Fault | None:
        """The first fault of some kinds that is aimed at nothing or at one of some targets, used up by this."""
        with self._lock:
            for fault in self._waiting:
                is_meant = fault.get(target) is None or fault[target] in targets
                if fault["kind"] in kinds and is_meant and size > fault.get("above", 0):
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self._waiting.remove(fault)
                    return dict(fault)
        return None


def _check(fault: Fault) -> None:
    kind = fault.get("kind")
    if kind not in _OPTIONS:
        raise ValueError(f"There is no fault {kind!r}: {', '.join(_OPTIONS)}.")
    unknown = sorted(fault.keys() - _OPTIONS[kind] - {"kind"})
    if unknown:
        raise ValueError(f"The fault {kind} takes no {unknown[0]}: {', '.join(sorted(_OPTIONS[kind]))}.")
    if fault.get("code", "TIMEOUT") not in BULK_ERROR_CODES:
        raise ValueError(f"A bulk operation does not fail with {fault['code']}: {', '.join(BULK_ERROR_CODES)}.")
