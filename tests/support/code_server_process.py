"""A code server in a process of its own, as the deployed shape has it: the daemon and the webserver ask it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.loopback import free_port
from xeno_pipeline.settings import PROJECT_DIR

_SECONDS_TO_START = 120.0
"""It loads the pipeline first, on a machine that may be busy with other tests."""


class CodeServerProcess:
    """The code server of a module, and the runs that it starts; a context manager.

    Args:
        module: holds the definitions.
        folder: for its log and the workspace file.
        environment: of the process.
    """

    def __init__(self, module: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._module, self._folder, self._environment = module, folder, dict(environment)
        self.workspace = folder / "workspace.yaml"

    def __enter__(self) -> Self:
        port = free_port()
        server = f"{{host: 127.0.0.1, port: {port}, location_name: xeno_pipeline}}"
        self.workspace.write_text(f"load_from:\n  - grpc_server: {server}\n")
        command = [sys.executable, "-m", "dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--module-name", self._module, "--location-name", "xeno_pipeline"]
        log_file = self._folder / "code_server.log"
        with log_file.open("w") as log:
            self.process = psutil.Popen(
                command, cwd=PROJECT_DIR, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while not _listens(port):
            assert self.process.is_running(), log_file.read_text()[-2000:]
            assert time.monotonic() < deadline, "the code server did not start"
            time.sleep(0.2)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End it and the runs that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
