"""One machine with everything that runs on it, each in processes of its own: PostgreSQL, stores, gateway, daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from unittest.mock import patch

import dagster as dg
import psutil

from shopify_sandbox.control import StoreControl
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.support.code_server_process import CodeServerProcess
from tests.support.daemon_process import DaemonProcess, environment_of
from tests.support.gateway_process import SECRET, GatewayProcess
from tests.support.marts.warehouse import Warehouse
from tests.support.webserver_process import WebserverProcess
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, no_progress
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import connect_store
from xeno_pipeline.tenants.registry import Tenant

Disturbance = Literal["gateway", "run", "forkserver", "daemon", "power", "launch", "postgres"]
"""What is killed or restarted; `forkserver` is what runs are forked from, `power` the daemon with all it started,
`launch` the same while a run starts."""

_ORDERS = 60
"""Of a store before it is connected."""

_SECONDS_UNTIL_IT_WORKS = 120.0
"""The daemon makes Dagster's tables, and loads the pipeline."""

_SECONDS_UNTIL_A_RUN = 120.0
"""A few; a minute more where the one before died while it started."""


class Machine:
    """The machine, its tenants read and in the marts; a context manager.

    Args:
        home: an empty folder, in which no other server's lies.
        handles: the stores that are tenants from the start.
        later: stores that are not.
        zones: the time zones of the stores, in turn.
        module: whose definitions Dagster works with, by a code server as in the deployed shape; else the daemon has
            one of its own, of the pipeline.
        settings: environment variables of Dagster's processes besides.
    """

    def __init__(
        self,
        home: Path,
        handles: Sequence[str],
        *,
        later: Sequence[str] = (),
        zones: Sequence[str] = ("UTC",),
        module: str | None = None,
        **settings: str,
    ) -> None:
        self._home, self._handles = home, handles
        self._specs = [
            StoreSpec(handle, orders=_ORDERS, plan="Enterprise", timezone=zone)
            for handle, zone in zip([*handles, *later], cycle(zones), strict=False)
        ]
        self._module, self._daemons_settings = module, settings
        self._tenants: dict[str, Tenant] = {}
        self._settings = Settings(home=home, database_url=None)
        self._server = EmbeddedServer(home)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._server.stop)
            self.sandbox = stack.enter_context(SandboxProcess(self._specs, self._home / "sandbox"))
            database = open_migrated(self._settings)
            self.warehouse = Warehouse(database, DbtProject(self._settings))
            make_relations(database, self.warehouse.project)
            self._ring = load_key_ring(self._settings)
            self._syncer = Syncer(database, self._ring, self._home / "spool", no_progress)
            for handle in self._handles:
                self.connect(handle)
            self.sync()
            self.warehouse.transform()
            if self._module:
                environment = environment_of(self._home, **self._daemons_settings)
                self.code_server = stack.enter_context(CodeServerProcess(self._module, self._home, environment))
                self.webserver = stack.enter_context(WebserverProcess(environment, self.code_server.workspace))
                daemon = DaemonProcess(self._home, self.code_server.workspace, **self._daemons_settings)
            else:
                daemon = DaemonProcess(self._home)
            self.daemon = stack.enter_context(daemon)
            self._await_daemon()
            self.gateway = stack.enter_context(GatewayProcess(self._server.url, self._home))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def stores(self) -> dict[str, StoreControl]:
        """The tenants' stores by handle, to do something in."""
        return {handle: self.sandbox.control.store(handle) for handle in self._tenants}

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """What runs all the time where there is a code server, by what it is; Postgres is its first process."""
        postgres = int((self._server.data_dir / "postmaster.pid").read_text().split()[0])
        return {
            "daemon": psutil.Process(self.daemon.pid),
            "code server": self.code_server.process,
            "webserver": self.webserver.process,
            "gateway": psutil.Process(self.gateway.process.pid),
            "sandbox": psutil.Process(self.sandbox.pid),
            "postgres": psutil.Process(postgres),
        }

    def connect(self, handle: str) -> StoreControl:
        """Make a store a tenant, as `xeno tenant add` does; its history is not read yet."""
        api_url = f"{self.sandbox.url}/{handle}"
        self._tenants[handle] = connect_store(
            self.warehouse.database, self._ring, handle=handle, api_url=api_url, token=DEFAULT_TOKEN
        )
        return self.stores[handle]

    @contextmanager
    def open_instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's instance of this machine, as the UI has it."""
        with patch.dict(os.environ, environment_of(self._home)), open_instance(self._settings) as instance:
            yield instance

    def subscribe(self, **how: Any) -> None:
        """Have the stores send their webhooks to the gateway."""
        for store in self.stores.values():
            store.send_webhooks(f"{self.gateway.url}/webhooks/shopify", SECRET, **how)

    def sync(self, *, full: bool = False) -> list[StreamReport]:
        """Read the stores as `xeno sync` does."""
        results = self._syncer.sync_tenants(list(self._tenants.values()), SyncRequest(full=full))
        assert [result for result in results if isinstance(result, StreamFailure)] == []
        return [result for result in results if isinstance(result, StreamReport)]

    def disturb(self, what: Disturbance) -> None:
        """Kill or restart something in the middle of a run; what does not come back by itself is started again."""
        run = self.await_run("STARTED")
        if what == "launch":
            self._await_batch()  # the sensor pauses longer and longer after runs that do nothing
            psutil.Process(run).kill()
            self.await_run("STARTING")
        match what:
            case "gateway":
                self.gateway.kill()
                self.gateway.start()
            case "run":
                psutil.Process(run).kill()
            case "forkserver":
                self._forkserver().kill()
            case "daemon":
                self.daemon.kill()
                self.daemon.start()
            case "power" | "launch":
                self.daemon.kill_all()
                self.daemon.start()
            case "postgres":
                self._server.stop()
                self._server.ensure_running()

    def _forkserver(self) -> psutil.Process:
        """What the runs of the daemon's code server are forked from."""
        code_servers = psutil.Process(self.daemon.pid).children()
        (found,) = (
            child
            for server in code_servers
            for child in server.children()
            if any("multiprocessing.forkserver" in argument for argument in child.cmdline())
        )
        return found

    def _await_daemon(self) -> None:
        """Wait until the daemon's sensors are at work."""
        deadline = time.monotonic() + _SECONDS_UNTIL_IT_WORKS
        while self.warehouse.value("select to_regclass('dagster.job_ticks') is null") or not self.warehouse.value(
            "select count(*) from dagster.job_ticks"
        ):
            assert time.monotonic() < deadline, f"the daemon does not work: {self.daemon.log()[-2000:]}"
            time.sleep(0.2)

    def await_run(self, status: str) -> int:
        """Wait until a run of events has come so far; the id of its process, 0 while there is none."""
        query = """
            select coalesce(max(value::int), 0), count(*) > 0 from dagster.runs
            left join dagster.run_tags on run_tags.run_id = runs.run_id and key = 'xeno/pid'
            where pipeline_name = 'events' and status = %s
            """
        deadline = time.monotonic() + _SECONDS_UNTIL_A_RUN
        while True:
            ((pid, is_there),) = self.warehouse.query(query, status)
            if is_there and (psutil.pid_exists(pid) or status == "STARTING"):
                return int(pid)
            assert time.monotonic() < deadline, f"no run is {status}; {self._state()}"
            time.sleep(0.05)

    def _await_batch(self) -> None:
        """Wait until something more is in the marts."""
        settled = "select count(*) from ops.webhook_inbox where in_marts_at is not null"
        before, deadline = self.warehouse.value(settled), time.monotonic() + _SECONDS_UNTIL_A_RUN
        while self.warehouse.value(settled) == before:
            assert time.monotonic() < deadline, self._state()
            time.sleep(0.05)

    def await_marts(self, seconds: float) -> None:
        """Wait until everything that the stores told of is in the marts.

        Args:
            seconds: how long that may take at most.
        """
        deadline = time.monotonic() + seconds
        while self._is_behind():
            assert time.monotonic() < deadline, self._state()
            time.sleep(0.5)

    def await_idleness(self, seconds: float) -> None:
        """Wait for a moment without a run under way.

        Args:
            seconds: how long that may take at most.
        """
        under_way = "select count(*) from dagster.runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
        deadline = time.monotonic() + seconds
        while self.warehouse.value(under_way):
            assert time.monotonic() < deadline, self._state()
            time.sleep(0.1)

    def _is_behind(self) -> bool:
        is_empty = "select count(*) = 0 from ops.webhook_inbox where in_marts_at is null"
        return any(store.webhooks()["waiting"] for store in self.stores.values()) or not self.warehouse.value(is_empty)

    def _state(self) -> str:
        """What may tell why something does not arrive."""
        waiting = self.warehouse.query(
            """
            select tenant_id, stream, attempts, error, count(*), count(done_at) done, count(dead_at) dead
            from ops.webhook_inbox where in_marts_at is null group by 1, 2, 3, 4
            """
        )
        runs = self.warehouse.query("select status, count(*) from dagster.runs group by 1")
        webhooks = {handle: store.webhooks() for handle, store in self.stores.items()}
        return (
            f"not in the marts: {waiting}; runs: {runs}; webhooks: {webhooks}; the daemon: {self.daemon.log()[-2000:]}"
        )
