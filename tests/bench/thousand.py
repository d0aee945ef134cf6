"""What a thousand tenants cost that have nothing new, and whether the UI and the schedule bear them.

Their histories are not read but said to be: an hour without news asks each store one query and reads no history.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from dagster import AssetKey, AssetMaterialization, DagsterInstance, RunRequest, build_schedule_context

from shopify_sandbox.spec import StoreSpec
from tests.bench.machine import Machine, machine
from tests.support.webserver_process import WebserverProcess
from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.marts.transform import TransformRequest, transform

TENANTS = 1_000
_MART = AssetKey(["marts", "revenue_daily"])

_ASSET_PAGE = """
query AssetPage($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      description
      partitionKeysByDimension { name partitionKeys }
      partitionStats { numMaterialized numPartitions numFailed }
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions }
      }
      assetMaterializations(limit: 100) { runId partition timestamp }
    }
  }
}
"""


def run(folder: Path, tenants: int = TENANTS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        tenants: how many stores.

    Returns:
        `cpu_seconds_a_tenant` of an hourly sync without news, tick, runs and database together (0.2 is the most); the
        seconds of the tick, of loading the code location, and of what the page of a mart asks for.
    """
    specs = [StoreSpec(f"store-{number:04}", orders=20, plan="Enterprise") for number in range(tenants)]
    with machine(folder, specs) as bench:
        _seed(bench)
        with bench.open_instance() as instance:
            align_partitions(instance, bench.database)
            for tenant in bench.tenants:
                instance.report_runless_asset_event(AssetMaterialization(_MART, partition=tenant.tenant_id))
            figures = _hourly_sync(bench, instance)
        with WebserverProcess(bench.environment) as webserver:
            first, again = _asset_page(webserver, tenants), _asset_page(webserver, tenants)
        return {
            **figures,
            "load_code_location_seconds": _load_code_location(bench),
            "asset_page_seconds": first,
            "asset_page_again_seconds": again,
        }


def _seed(bench: Machine) -> None:
    """Let the history of each stream be read, and the marts be made."""
    with bench.database.connect() as connection:
        for stream in STREAMS:
            connection.execute(
                """
                insert into ops.sync_state (tenant_id, stream, cursor_at, query_version, history_loaded_at, synced_at)
                select tenant_id, %s, now() + interval '1 hour', %s, now(), now() from ops.tenants
                """,
                [stream.name, stream.query_version],
            )
    project = Pipeline(bench.settings).dbt_project
    report = transform(bench.database, project, TransformRequest([tenant.tenant_id for tenant in bench.tenants]))
    assert not report.failures
    assert bench.start_run("sync", "extract_tenants", "routine", []).wait() == 0  # the shops' facts come into raw


def _hourly_sync(bench: Machine, instance: DagsterInstance) -> dict[str, float]:
    """The tick of the schedule, and the runs that it asks for, one after the other."""
    definitions = build_defs(bench.settings, pipeline=PipelineResource.of(Pipeline(bench.settings)))
    schedule = definitions.resolve_schedule_def("hourly_sync")
    before = _cpu(bench)
    started = time.perf_counter()
    with build_schedule_context(
        instance=instance, scheduled_execution_time=datetime.now(UTC), resources=definitions.resources
    ) as context:
        requests_ = list(schedule.evaluate_tick(context).run_requests or ())
    tick = time.perf_counter() - started
    for request in requests_:
        assert bench.start_run("sync", "extract_tenants", "routine", _tenants(request)).wait() == 0
    return {
        "tenants": len(bench.tenants),
        "cpu_seconds_a_tenant": (_cpu(bench) - before) / len(bench.tenants),
        "hourly_sync_seconds": time.perf_counter() - started,
        "runs": len(requests_),
        "tick_seconds": tick,
    }


def _tenants(request: RunRequest) -> list[str]:
    handles: list[str] = request.run_config["ops"]["extract_tenants"]["config"]["tenants"]
    return handles


def _cpu(bench: Machine) -> float:
    """CPU seconds used so far: by this process, by those it started that have ended, and by the database's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return bench.postgres_cpu() + sum(usage.ru_utime + usage.ru_stime for usage in used)


def _load_code_location(bench: Machine) -> float:
    started = time.perf_counter()
    code = "from xeno_pipeline.definitions import defs; defs.get_repository_def()"
    subprocess.run([sys.executable, "-c", code], env=bench.environment, check=True)
    return time.perf_counter() - started


def _asset_page(webserver: WebserverProcess, tenants: int) -> float:
    """Seconds until the page of a mart has what it asks for: its partitions and what became of each."""
    started = time.perf_counter()
    node = webserver.query(_ASSET_PAGE, key={"path": _MART.path})["assetNodeOrError"]
    assert node["partitionStats"]["numMaterialized"] == tenants
    return time.perf_counter() - started
