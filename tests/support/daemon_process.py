"""Dagster's daemon in a process of its own: it evaluates the sensor, and launches the runs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from xeno_pipeline.defs.instance import dagster_home
from xeno_pipeline.settings import PROJECT_DIR, Settings

_SECONDS_TO_END = 20.0


def environment_of(home: Path, **settings: str) -> dict[str, str]:
    """The environment of Dagster's processes over a home, with further variables."""
    dagster = str(dagster_home(Settings(home=home)))
    return {**os.environ, "XENO_HOME": str(home), "DAGSTER_HOME": dagster, **settings}


class DaemonProcess:
    """The daemon over a home, with the code server and the runs that it starts; a context manager.

    Args:
        home: where the pipeline's state lives.
        workspace: the code location that it works with.
        settings: environment variables besides.
    """

    def __init__(self, home: Path, workspace: Path = PROJECT_DIR / "workspace.yaml", **settings: str) -> None:
        self._log = home / "daemon.log"
        self._groups: list[int] = []
        self._workspace = workspace
        self._environment = environment_of(home, **settings)

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start it; it says by what it does that it is there."""
        command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(self._workspace)]
        with self._log.open("a") as log:
            self._process = psutil.Popen(
                command, cwd=PROJECT_DIR, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        self._groups.append(self._process.pid)

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def kill(self) -> None:
        """End it as a crash does; its code server and the run that is under way live on for a while."""
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """End it and everything it ever started, as a loss of power does."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._process.wait()

    def log(self) -> str:
        """What it wrote so far."""
        return self._log.read_text()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_SECONDS_TO_END)
        self.kill_all()
