"""Dagster's daemon in a process of its own: it evaluates the sensor, and launches the runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from xeno_pipeline.orchestration.instance import dagster_home
from xeno_pipeline.settings import PROJECT_DIR, Settings

_SECONDS_TO_END = 20.0


class DaemonProcess:
    """The daemon over a home, with the code server and the runs that it starts; a context manager."""

    def __init__(self, home: Path) -> None:
        self._log = home / "daemon.log"
        self._environment = {
            **os.environ,
            "XENO_HOME": str(home),
            "DAGSTER_HOME": str(dagster_home(Settings(home=home))),
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start it; it says by what it does that it is there."""
        command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(PROJECT_DIR / "workspace.yaml")]
        with self._log.open("a") as log:
            self._process = psutil.Popen(
                command, cwd=PROJECT_DIR, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """End it and everything it started, as a loss of power does."""
        for process in [*self._process.children(recursive=True), self._process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def log(self) -> str:
        """What it wrote so far."""
        return self._log.read_text()

    def runs(self) -> list[psutil.Process]:
        """The processes of runs that are under way."""
        return [process for process in self._process.children(recursive=True) if _is_run(process)]

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_SECONDS_TO_END)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            self.kill()


def _is_run(process: psutil.Process) -> bool:
    """Whether it is one that the code server spawned; the other it spawns is Python's resource tracker."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return any("spawn_main" in argument for argument in process.cmdline())
    return False
