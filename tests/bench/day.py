"""Whether two cores bear a day of a thousand small stores: what each kind of run takes, as often as a day has it.

The histories are read and modelled by runs, as for stores that were just connected. Runs follow one another here, each
in a process of its own; the daemon would have several at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from shopify_sandbox.spec import StoreSpec
from tests.bench.machine import Machine, machine
from xeno_pipeline.defs.jobs.names import CHECKS_JOB, RECONCILE_JOB, SYNC_JOB, TENANTS_OPS, TRANSFORM_JOB
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.schedules import TENANTS_A_RECONCILIATION, TENANTS_A_SYNC, TENANTS_A_TRANSFORM

TENANTS = 1_000
ORDERS = 200
_HOURS = 24
_CHECKS_A_DAY = 24 * 4


def run(folder: Path, tenants: int = TENANTS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        tenants: how many stores.

    Returns:
        Seconds of an hourly sync of all tenants without news, of their nightly reconciliation, of the turn of the day,
        and of an evaluation of the checks; and `hours_a_day`, what a day's 24 syncs, 96 evaluations, reconciliation and
        turn take together: with more than 24 there would be a backlog.
    """
    specs = [StoreSpec(f"store-{number:04}", orders=ORDERS) for number in range(tenants)]
    with machine(folder, specs) as bench:
        with bench.open_instance() as instance:
            align_partitions(instance, bench.database)
        handles = [spec.handle for spec in specs]
        history = _run_all(bench, SYNC_JOB, handles, TENANTS_A_SYNC)
        hourly = _run_all(bench, SYNC_JOB, handles, TENANTS_A_SYNC)
        reconciliation = _run_all(bench, RECONCILE_JOB, handles, TENANTS_A_RECONCILIATION)
        with bench.database.connect() as connection:
            connection.execute("update ops.tenant_marts set as_of_date = as_of_date - 1")
        turn = _run_all(bench, TRANSFORM_JOB, handles, TENANTS_A_TRANSFORM)
        checks = _seconds(bench, CHECKS_JOB, "", [])
    return {
        "hours_a_day": (_HOURS * hourly + reconciliation + turn + _CHECKS_A_DAY * checks) / 3600,
        "tenants": tenants,
        "history_seconds": history,
        "hourly_sync_seconds": hourly,
        "reconciliation_seconds": reconciliation,
        "turn_of_the_day_seconds": turn,
        "checks_seconds": checks,
    }


def _run_all(bench: Machine, job: str, handles: Sequence[str], at_most: int) -> float:
    """Seconds of the runs of a job for all tenants."""
    batches = ceil(len(handles) / at_most)
    return sum(_seconds(bench, job, TENANTS_OPS[job], handles[index::batches]) for index in range(batches))


def _seconds(bench: Machine, job: str, op: str, handles: Sequence[str]) -> float:
    started = time.perf_counter()
    assert bench.start_run(job, op, "routine", handles).wait() == 0, f"{job} failed"
    return time.perf_counter() - started
