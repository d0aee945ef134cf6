"""A code location over a database, and Dagster's real instance in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.instance import open_instance, process_tags
from xeno_pipeline.defs.jobs.names import CHECKS_JOB
from xeno_pipeline.defs.partitions import align_partitions
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.credentials import KeyRing, load_key_ring

_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass(frozen=True)
class Location:
    """The code location, its instance, and the pipeline and the installation under it."""

    installation: Installation
    pipeline: Pipeline
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def connect(self, *shops: Shop) -> None:
        """Register stores as tenants, as partitions too."""
        for shop in shops:
            self.installation.connect(shop)
        align_partitions(self.instance, self.installation.database)

    def backfill(self, tenants: list[str], *selection: dg.AssetKey) -> dg.ExecuteInProcessResult:
        """One run of a backfill, as the daemon launches it: a range of partitions of some assets."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        first, last = min(tenants), max(tenants)
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=list(selection),
            tags=dict(zip(_RANGE, (first, last), strict=True)),
            raise_on_error=False,
        )

    def run(self, job: str, op: str, **config: Any) -> dg.ExecuteInProcessResult:
        """A run of one of the jobs that take any set of tenants."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False
        )

    def evaluate(self, key: dg.AssetKey, check: str) -> dg.AssetCheckEvaluation:
        """An evaluation of an asset check, as the job of checks makes it."""
        job = self.definitions.resolve_job_def(CHECKS_JOB)
        result = job.execute_in_process(instance=self.instance)
        return next(
            each
            for each in result.get_asset_check_evaluations()
            if each.asset_check_key == dg.AssetCheckKey(key, check)
        )

    def run_in_another_process(self, job: str) -> subprocess.Popen[bytes]:
        """A process that a run of a job is said to live in; it ends when it is communicated with."""
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started = str(psutil.Process(process.pid).create_time())
        tags = process_tags() | {"xeno/pid": str(process.pid), "xeno/process_started": started}
        definition = self.definitions.resolve_job_def(job)
        self.instance.create_run_for_job(definition, tags=tags, status=dg.DagsterRunStatus.STARTED)
        return process

    def materialized(self, key: dg.AssetKey) -> dict[str, dict[str, Any]]:
        """The metadata of the newest materialisation of each partition of an asset."""
        records = self.instance.fetch_materializations(key, limit=50).records
        return {
            str(record.partition_key): {
                name: value.value for name, value in record.asset_materialization.metadata.items()
            }
            for record in reversed(records)
            if record.asset_materialization is not None
        }

    def statuses(self) -> list[dg.DagsterRunStatus]:
        """How the runs ended, newest first."""
        return [run.status for run in self.instance.get_runs()]


@contextmanager
def locate(database: Database, folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Location]:
    """A code location over a database.

    Args:
        database: migrated.
        folder: for the spool.
        environment: gets the variable for the database.
    """
    environment.setenv("XENO_DATABASE_URL", database.url)
    environment.setenv("XENO_EVENTS_QUIET_SECONDS", "0")
    environment.delenv("DAGSTER_HOME", raising=False)
    settings = load_settings()
    pipeline = Pipeline(settings)
    ring: KeyRing = load_key_ring(settings)
    definitions = build_defs(settings, pipeline=PipelineResource.of(pipeline))
    with open_instance(settings) as instance:
        yield Location(Installation(pipeline.database, ring, folder / "spool"), pipeline, definitions, instance)
    environment.delenv("DAGSTER_HOME", raising=False)
