"""An installation of a benchmark's own, with stores beside it, and runs in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
from dagster import DagsterInstance

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.extraction.report import StreamFailure, StreamResult
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing, load_key_ring
from xeno_pipeline.tenants.onboarding import connect_store
from xeno_pipeline.tenants.registry import Tenant

_LEAST_PRIORITY = 19


@dataclass(frozen=True)
class Machine:
    """Where a benchmark takes place."""

    settings: Settings
    database: Database
    sandbox: SandboxProcess
    tenants: Sequence[Tenant]

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this installation is started with."""
        home = self.settings.home
        return {**os.environ, "XENO_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}

    @contextmanager
    def open_instance(self) -> Iterator[DagsterInstance]:
        """Dagster's instance of this installation; by itself, Dagster would take whichever the environment names."""
        with patch.dict(os.environ, self.environment), open_instance(self.settings) as instance:
            yield instance

    def start_run(self, job: str, op: str, lane: str, handles: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a run in a process of its own."""
        command = [sys.executable, "-m", "tests.bench.run_job", job, op, lane, *handles]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)

    @staticmethod
    def succeed(results: Sequence[StreamResult]) -> None:
        """Go on if no stream failed."""
        assert not [result for result in results if isinstance(result, StreamFailure)]

    def postgres_cpu(self) -> float:
        """CPU seconds that the database's processes have used so far, those that have ended included."""
        return postgres_cpu(self.settings.home)


def postgres_cpu(home: Path) -> float:
    """CPU seconds that the processes of the embedded server there have used so far, those that have ended included."""
    server = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))
    while True:
        try:
            alive = [process.cpu_times() for process in server.children()]
        except psutil.NoSuchProcess:  # it ended meanwhile, and counts as ended the next time
            continue
        ended = server.cpu_times()
        break
    return (
        ended.user
        + ended.system
        + ended.children_user
        + ended.children_system
        + sum(times.user + times.system for times in alive)
    )


@contextmanager
def machine(folder: Path, specs: Sequence[StoreSpec]) -> Iterator[Machine]:
    """An installation with those stores connected, which takes whatever CPU the stores' server does not.

    Shopify is on machines of its own: what plays it here gives way to what is measured.
    """
    settings = Settings(home=folder / "home", database_url=None)
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess(specs, folder / "sandbox"))
        for process in [psutil.Process(sandbox.pid), *psutil.Process(sandbox.pid).children(recursive=True)]:
            process.nice(_LEAST_PRIORITY)
        stack.callback(EmbeddedServer(settings.home).stop)
        database = open_migrated(settings)
        ring = load_key_ring(settings)
        yield Machine(settings, database, sandbox, _connect_all(database, ring, sandbox, specs))


@contextmanager
def stores_in_raw(folder: Path, orders: Mapping[str, int]) -> Iterator[tuple[Database, DbtProject]]:
    """A database of stores of so many orders each, by handle: read into raw, and no marts yet.

    What plays Shopify has ended by then, so that its memory is not in the way of what is measured. The project's
    relations are there.
    """
    settings = Settings(home=folder / "home", database_url=None)
    specs = [StoreSpec(handle, orders=count, plan="Enterprise") for handle, count in orders.items()]
    with ExitStack() as stack:
        stack.callback(EmbeddedServer(settings.home).stop)
        database, project, ring = open_migrated(settings), DbtProject(settings), load_key_ring(settings)
        make_relations(database, project)
        with SandboxProcess(specs, folder / "sandbox") as sandbox:
            tenants = _connect_all(database, ring, sandbox, specs)
            results = Syncer(database, ring, settings.home / "spool").sync_tenants(tenants, SyncRequest())
        Machine.succeed(results)
        yield database, project


def load_history(handle: str, settings: Settings) -> dict[str, Any]:
    """What the process tells that loads the history of a store's orders: see `tests.bench.load_history`."""
    command = [sys.executable, "-m", "tests.bench.load_history", handle]
    environment = {**os.environ, "XENO_HOME": str(settings.home)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    assert not told["dagster_imported"]
    return told


def _connect_all(
    database: Database, ring: KeyRing, sandbox: SandboxProcess, specs: Sequence[StoreSpec]
) -> list[Tenant]:
    def connect(spec: StoreSpec) -> Tenant:
        url = f"{sandbox.url}/{spec.handle}"
        return connect_store(database, ring, handle=spec.handle, api_url=url, token=DEFAULT_TOKEN)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(connect, specs))
