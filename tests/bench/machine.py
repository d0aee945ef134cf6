"""An installation of a benchmark's own, with stores beside it, and runs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
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

    def start_run(self, job: str, op: str, lane: str, handles: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a run in a process of its own."""
        command = [sys.executable, "-m", "tests.bench.run_job", job, op, lane, *handles]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)

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

        def connect(spec: StoreSpec) -> Tenant:
            url = f"{sandbox.url}/{spec.handle}"
            return connect_store(database, ring, handle=spec.handle, api_url=url, token=DEFAULT_TOKEN)

        with ThreadPoolExecutor(4) as pool:
            tenants = list(pool.map(connect, specs))
        yield Machine(settings, database, sandbox, tenants)
