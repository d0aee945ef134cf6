"""`make dev`: the Dagster UI and daemon, gateway, insights and sandbox stores, all on loopback until interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

from xeno_pipeline.cli.terminal import echo
from xeno_pipeline.defs.instance import dagster_home
from xeno_pipeline.defs.partitions import align
from xeno_pipeline.defs.resources import Pipeline
from xeno_pipeline.demo.left_insights import end_left_insights
from xeno_pipeline.demo.listening import usable_port
from xeno_pipeline.demo.processes import VISITOR, exit_on_sigterm, serve_gateway, serve_insights, sign_in_path
from xeno_pipeline.demo.stores import connect_demo_stores, serve_demo_stores
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import PROJECT_DIR, Settings

_SECONDS_TO_END = 20.0
_SECONDS_BETWEEN_LOOKS = 0.5


class PortTakenError(XenoError):
    """Something else listens where the UI, the gateway or insights are to be."""


def serve_dev(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM, or until Dagster ends by itself.

    Returns:
        The exit code: 0 where it was asked to end.

    Raises:
        PortTakenError: the port of the UI, of the gateway or of insights is in use.
    """
    end_left_insights(settings)
    for port, setting in (
        (settings.dagster_port, "XENO_DAGSTER_PORT"),
        (settings.gateway_port, "XENO_GATEWAY_PORT"),
        (settings.insights_port, "XENO_INSIGHTS_PORT"),
    ):
        if usable_port(port) == 0:
            raise PortTakenError(f"Port {port} is in use: stop what listens there, or set {setting}.")
    exit_on_sigterm()
    pipeline = Pipeline(settings)
    _ = pipeline.dbt_project
    with (
        serve_demo_stores(settings, pipeline.database) as stores,
        serve_gateway(settings, settings.gateway_port) as gateway,
        serve_insights(settings, settings.insights_port) as insights,
    ):
        for tenant in connect_demo_stores(settings, pipeline.database, stores.url):
            gateway.listen_to(stores.control(tenant))
        align(settings, pipeline.database)
        echo(f"The sandbox stores: {stores.url}")
        echo(f"The gateway:        {gateway.url}")
        echo(f"Insights:           {insights}  (the API: {insights}/api/v1/docs)")
        echo(f"The dashboard:      {insights}{sign_in_path(pipeline.database, VISITOR)}  (works once)")
        echo(f"The Dagster UI:     http://127.0.0.1:{settings.dagster_port}  (Ctrl-C ends all)")
        return _run_dagster(settings)


def _run_dagster(settings: Settings) -> int:
    command = [sys.executable, "-m", "dagster_dg_cli.cli", "dev", "--workspace", str(PROJECT_DIR / "workspace.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(settings.dagster_port), "--log-level", "warning"]
    home = dagster_home(settings)  # also where it runs: it warns of a dagster.yaml in another folder
    environment = {**os.environ, "DAGSTER_HOME": str(home), "XENO_HOME": str(settings.home)}
    with _Interruptible() as dagster:
        # In a session of its own: a Ctrl-C in the terminal then reaches it once, through us, and not twice.
        dagster.process = subprocess.Popen(command, cwd=home, env=environment, start_new_session=True)  # noqa: S603
        return dagster.wait()


class _Interruptible:
    """A process that ends when this one is asked to.

    The signals are handled before it is started, so that none is lost, and so that it does not inherit the
    ignored SIGINT of a background job, which would make it deaf.
    """

    process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self._is_stopping = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interruptible:
        self._before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def wait(self) -> int:
        """Wait for its end; 0 where it was asked to end."""
        while not self._is_stopping:
            try:
                return self.process.wait(_SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                continue
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its session: the webserver and the daemon with it
            self.process.wait()
        return 0

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
