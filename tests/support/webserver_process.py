"""Dagster's webserver in a process of its own, on a free port."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from tests.support.loopback import answers, free_port
from xeno_pipeline.settings import PROJECT_DIR

_SECONDS_TO_START = 120.0
"""It loads the pipeline first, on a machine that may be busy with other tests."""


class WebserverProcess:
    """The webserver; a context manager.

    Args:
        environment: of the process.
        workspace: what it serves.
    """

    def __init__(self, environment: Mapping[str, str], workspace: Path = PROJECT_DIR / "workspace.yaml") -> None:
        self._environment, self._workspace = dict(environment), workspace

    def __enter__(self) -> Self:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        program = Path(sys.executable).with_name("dagster-webserver")
        self.process = psutil.Popen(
            [str(program), "-h", "127.0.0.1", "-p", str(port), "-w", str(self._workspace)],
            env=self._environment,
            cwd=PROJECT_DIR,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _SECONDS_TO_START
        while not answers(f"{self._url}/server_info"):
            assert self.process.poll() is None, "the webserver ended"
            assert time.monotonic() < deadline, "the webserver did not start"
            time.sleep(0.2)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(60)

    def query(self, query: str, **variables: Any) -> dict[str, Any]:
        """What a GraphQL query of a page gives."""
        body = {"query": query, "variables": variables}
        data: dict[str, Any] = requests.post(f"{self._url}/graphql", json=body, timeout=120).json()["data"]
        return data
