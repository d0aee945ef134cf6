"""How long the hourly sync of small stores takes while the history of a large one is read beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from shopify_sandbox.spec import StoreSpec
from tests.bench.machine import Machine, machine

LARGE_ORDERS = 200_000
SMALL = tuple(f"small-{number:02}" for number in range(20))
_ROUNDS = 3


def run(
    folder: Path, orders: int = LARGE_ORDERS, others: Sequence[str] = SMALL, rounds: int = _ROUNDS
) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        orders: of the large store; the hourly sync has to be done more than once before all of them are read.
        others: the small stores beside it.
        rounds: of the hourly sync alone, before the backfill and again after it.

    Returns:
        `beside_over_alone`: seconds of a run that reads one new order of each small store and brings their marts up
        to date, beside the backfill over alone (1.5 is the most); and what it is made of.
    """
    small = [StoreSpec(handle, orders=200, plan="Enterprise", seed=n) for n, handle in enumerate(others)]
    with machine(folder, [*small, StoreSpec("large", orders=orders, plan="Enterprise")]) as bench:
        assert bench.start_run("sync", "extract_tenants", "routine", others).wait() == 0
        _hourly_sync(bench, others)  # warms the caches
        alone = [_hourly_sync(bench, others) for _ in range(rounds)]
        beside: list[float] = []
        started = time.perf_counter()
        with bench.start_run("sync", "extract_tenants", "backfill", ["large"]) as backfill:
            while backfill.poll() is None:
                seconds = _hourly_sync(bench, others)
                if backfill.poll() is None:  # else it was alone in part
                    beside.append(seconds)
            backfill_seconds = time.perf_counter() - started
        assert backfill.returncode == 0
        # Before and after: the machine may have other work too.
        alone += [_hourly_sync(bench, others) for _ in range(rounds)]
    return {
        "beside_over_alone": median(beside) / median(alone),
        "alone_seconds": median(alone),
        "beside_seconds": median(beside),
        "rounds_beside": len(beside),
        "backfill_seconds": backfill_seconds,
    }


def _hourly_sync(bench: Machine, handles: Sequence[str]) -> float:
    """Seconds of a run over the small stores, in each of which an order was placed."""
    for handle in handles:
        bench.sandbox.control.store(handle).place_order()
    started = time.perf_counter()
    assert bench.start_run("sync", "extract_tenants", "routine", handles).wait() == 0
    return time.perf_counter() - started
