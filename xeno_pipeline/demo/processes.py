"""The processes that real time takes besides the stores: the gateway, and Dagster's daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from shopify_sandbox.control import StoreControl
from xeno_pipeline.access.grants import invite
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.dagster_internals import DAEMON_MODULE
from xeno_pipeline.defs.instance import dagster_home, open_instance
from xeno_pipeline.demo.listening import listens_at
from xeno_pipeline.settings import PROJECT_DIR, Settings

_SANDBOX_SECRET = "shpss_sandbox"  # noqa: S105 - it signs the webhooks of sandbox stores, to a gateway on loopback
"""The app's secret where none is set."""

VISITOR = "dev@example.com"
"""Whom the links of the demo and of `make dev` sign in."""

_SECONDS_TO_END = 20.0
_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class ServedGateway:
    """A gateway that listens.

    Args:
        url: where.
        secret: what webhooks to it are signed with.
    """

    url: str
    secret: str

    def listen_to(self, store: StoreControl) -> None:
        """Have a sandbox store send it its webhooks."""
        store.send_webhooks(f"{self.url}/webhooks/shopify", self.secret)


@contextmanager
def serve_gateway(settings: Settings, port: int) -> Iterator[ServedGateway]:
    """The gateway in a process of its own, for the length of a `with`; its log is a file in the home.

    Args:
        settings: the home, and the app's secret.
        port: where it listens on loopback; 0 is any free one.

    Raises:
        NotStartedError: it did not come to listen.
    """
    secret = settings.shopify_api_secret.get_secret_value() if settings.shopify_api_secret else _SANDBOX_SECRET
    log = settings.home / "gateway.log"
    log_offset = log.stat().st_size if log.exists() else 0
    command = ["xeno_pipeline.cli", "gateway", "serve", "--port", str(port)]
    with running(settings, command, log, {"XENO_SHOPIFY_API_SECRET": secret}) as process:
        yield ServedGateway(f"http://127.0.0.1:{listens_at(process, log, log_offset)}", secret)


@contextmanager
def serve_insights(settings: Settings, port: int) -> Iterator[str]:
    """What answers questions to the marts, in a process of its own, for the length of a `with`; its URL.

    Its pages link to the Dagster UI of `make dev`, unless a setting says where that is.

    Raises:
        NotStartedError: it did not come to listen.
    """
    log = settings.home / "insights.log"
    log_offset = log.stat().st_size if log.exists() else 0
    dagster = settings.dagster_url or f"http://127.0.0.1:{settings.dagster_port}"
    command = ["xeno_pipeline.cli", "insights", "serve", "--port", str(port)]
    with running(settings, command, log, {"XENO_DAGSTER_URL": dagster}) as process:
        yield f"http://127.0.0.1:{listens_at(process, log, log_offset)}"


def sign_in_path(database: Database, email: str) -> str:
    """The path of a new link that signs somebody in to the dashboard of all stores, once; earlier ones end."""
    with database.connect() as connection:
        return f"/sign-in/{invite(connection, email, None, Role.OPERATOR).secret}"


@contextmanager
def serve_daemon(settings: Settings) -> Iterator[None]:
    """Dagster's daemon, which evaluates the sensors and launches runs, for the length of a `with`.

    Runs of events end soon after their last one, and are waited for: one that ends with the daemon counts as failed.
    """
    command = [DAEMON_MODULE, "run", "--workspace", str(PROJECT_DIR / "workspace.yaml")]
    environment = {"DAGSTER_HOME": str(dagster_home(settings)), "XENO_EVENTS_QUIET_SECONDS": "1"}
    with running(settings, command, settings.home / "daemon.log", environment):
        yield
        _await_runs(settings)


def _await_runs(settings: Settings) -> None:
    """Wait until no run is under way, but not for ever."""
    under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    deadline = time.monotonic() + _SECONDS_TO_END
    with open_instance(settings) as instance:
        while instance.get_runs_count(under_way) and time.monotonic() < deadline:
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def exit_on_sigterm() -> None:
    """Let SIGTERM end this program as Ctrl-C does, by an exception, so that what it started ends with it."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def running(
    settings: Settings, module: list[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A module run as a program for the length of a `with`; what it leaves behind is ended too.

    Args:
        settings: its home.
        module: its name and its arguments.
        log: what it says is appended to this file.
        environment: variables for it besides.
    """
    with log.open("a") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *module],
            cwd=PROJECT_DIR,
            env={**os.environ, "XENO_HOME": str(settings.home), **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C in the terminal reaches it through us alone, at its time
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
