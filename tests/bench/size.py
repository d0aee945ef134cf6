"""What a store of a million orders costs beside one of 200,000: to load, to model and to keep.

Slow: a quarter of an hour. Both are loaded and modelled one after the other, as stores join. Then all is done once that
reads by an index: what each takes, and which nobody needed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopify_sandbox.spec import StoreSpec
from tests.bench.index_use import indexes, use_everything
from tests.bench.machine import Machine, load_history, machine
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.statistics import refresh_statistics
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.registry import Tenant

ORDERS = {"small": 200_000, "large": 1_000_000}

_BYTES = """
    select
        coalesce(sum(pg_total_relation_size(oid)) filter (where relnamespace = 'raw'::regnamespace), 0),
        coalesce(sum(pg_total_relation_size(oid)) filter (where relnamespace <> 'raw'::regnamespace), 0)
    from pg_class
    where relkind = 'r'
    and relnamespace in ('raw'::regnamespace, 'intermediate'::regnamespace, 'marts'::regnamespace)
    """


@dataclass(frozen=True)
class _Joined:
    """What a store took until its first marts."""

    orders: int
    loaded: Mapping[str, Any]
    model_seconds: float

    @property
    def load_seconds_an_order(self) -> float:
        seconds: float = self.loaded["seconds"]
        return seconds / self.orders

    @property
    def model_seconds_an_order(self) -> float:
        return self.model_seconds / self.orders


def run(folder: Path, orders: Mapping[str, int] = ORDERS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own; 30 GB for a million orders.
        orders: of the `small` store and of the `large` one.

    Returns:
        `load_of_large_over_small` and `model_of_large_over_small`, of seconds an order; milliseconds an order of both;
        `peak_mib` of the loading process and of those that map for it; `raw_bytes_an_order` and `marts_bytes_an_order`,
        intermediate included; and bytes an order of each index, and again, as `unused_…`, of those that nothing read.
    """
    specs = [StoreSpec(handle, orders=count, plan="Enterprise") for handle, count in orders.items()]
    with machine(folder, specs) as bench:
        project = DbtProject(bench.settings)
        make_relations(bench.database, project)
        small, large = (_join(bench, project, tenant, orders[tenant.tenant_id]) for tenant in bench.tenants)
        count = sum(orders.values())
        raw, marts = _bytes(bench.database)
        takes = {name: index.bytes / count for name, index in indexes(bench.database).items()}
        use_everything(bench, project)
        unused = [name for name, index in indexes(bench.database).items() if index.scans == 0 and name in takes]
    return {
        "load_of_large_over_small": large.load_seconds_an_order / small.load_seconds_an_order,
        "model_of_large_over_small": large.model_seconds_an_order / small.model_seconds_an_order,
        "peak_mib": large.loaded["peak_mib"],
        "peak_of_large_over_small": large.loaded["peak_mib"] / small.loaded["peak_mib"],
        "small_load_ms_an_order": 1000 * small.load_seconds_an_order,
        "large_load_ms_an_order": 1000 * large.load_seconds_an_order,
        "small_model_ms_an_order": 1000 * small.model_seconds_an_order,
        "large_model_ms_an_order": 1000 * large.model_seconds_an_order,
        "raw_bytes_an_order": raw / count,
        "marts_bytes_an_order": marts / count,
        **{f"index_{name}": size for name, size in takes.items()},
        **{f"unused_{name}": takes[name] for name in unused},
    }


def _join(bench: Machine, project: DbtProject, tenant: Tenant, orders: int) -> _Joined:
    """Load a store's orders, timed; all else of it; and make its marts, timed."""
    loaded = load_history(tenant.tenant_id, bench.settings)
    refresh_statistics(bench.database, "raw")
    syncer = Syncer(bench.database, load_key_ring(bench.settings), bench.settings.home / "spool")
    bench.succeed(syncer.sync_tenants([tenant], SyncRequest()))
    started = time.perf_counter()
    assert not transform(bench.database, project, TransformRequest([tenant.tenant_id])).failures
    return _Joined(orders, loaded, time.perf_counter() - started)


def _bytes(database: Database) -> tuple[int, int]:
    """Bytes on disk of the tables of raw, and of intermediate and marts, with their indexes."""
    with database.connect() as connection:
        ((raw, marts),) = connection.execute(_BYTES).fetchall()
    return int(raw), int(marts)
