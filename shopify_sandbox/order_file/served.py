"""What a store read from a file last served, so that it can tell what changed in the file since."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from shopify_sandbox.order_file.reader import Array
from shopify_sandbox.state.overlay import Overlay
from shopify_sandbox.state.source import Columns

_RECORD = np.dtype([("id", "<i8"), ("hash", "<u8"), ("updated_at", "<i8"), ("owner", "<i8")])


def text_hash(text: str) -> int:
    """A 64-bit hash that is the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def update_times(
    overlay: Overlay, kind: str, columns: Columns, hashes: Array, owners: Array, stale: set[int], now: int
) -> set[int]:
    """Set `updated_at` of one kind of object: as remembered, or now for what is new or not what it was.

    What the overlay held of changed objects is dropped: the file has the last word.

    Args:
        overlay: Where the last served state is remembered, and replaced by the new one.
        kind: Of the objects.
        columns: Their columns; before anything was ever served, times stay as they are.
        hashes: Of all that is served of each object.
        owners: The customer each belongs to.
        stale: Ids that count as changed.
        now: In seconds since 1970.

    Returns:
        The owners of objects that changed, came or went.
    """
    remembered = overlay.blob(f"served/{kind}")
    touched: set[int] = set()
    if remembered is not None:
        served = np.frombuffer(remembered, dtype=_RECORD)
        before = {number: row for row, number in enumerate(served["id"].tolist())}
        for row, number in enumerate(columns["id"].tolist()):
            known = before.pop(number, None)
            if known is not None and served["hash"][known] == hashes[row] and number not in stale:
                columns["updated_at"][row] = served["updated_at"][known]
                continue
            columns["updated_at"][row] = now
            overlay.forget(kind, number)
            touched |= {int(owners[row]), int(served["owner"][known]) if known is not None else 0}
        for number, row in before.items():
            overlay.forget(kind, number)
            touched.add(int(served["owner"][row]))
    record = np.zeros(len(hashes), dtype=_RECORD)
    record["id"], record["hash"], record["owner"] = columns["id"], hashes, owners
    record["updated_at"] = columns["updated_at"]
    if record.tobytes() != remembered:
        overlay.set_blob(f"served/{kind}", record.tobytes())
    return touched
