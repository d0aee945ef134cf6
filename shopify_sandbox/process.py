"""A sandbox server in a process of its own, for tests, the demo and the benchmark."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from shopify_sandbox.control import SandboxControl
from shopify_sandbox.spec import StoreSpec

START_SECONDS = 300.0
"""Reading a file of millions of order lines for the first time takes most of a minute, and tests share the machine."""


class SandboxProcess:
    """Starts a server on a free loopback port, waits until it serves, and ends it.

    Use it as a context manager, or call `start` and `stop`:

        with SandboxProcess([StoreSpec("acme", orders=100)], tmp_path) as sandbox:
            requests.post(f"{sandbox.url}/acme/admin/api/2026-10/graphql.json", …)
            sandbox.control.store("acme").place_order()
    """

    def __init__(self, specs: Sequence[StoreSpec], state_dir: Path, port: int = 0) -> None:
        self.specs = specs
        self.state_dir = state_dir
        self.url = ""
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log = state_dir / "sandbox.log"

    @property
    def control(self) -> SandboxControl:
        """Orders faults and changes of the stores."""
        return SandboxControl(self.url)

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the server, and return once it answers; a restart takes the port it had.

        Raises:
            RuntimeError: With the server's own words, if it ends or does not answer in time.
        """
        self.state_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "shopify_sandbox", "--state-dir", str(self.state_dir)]
        command += ["--port", str(self._port), *arguments(self.specs)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while "\nready\n" not in (said := self.log()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"The sandbox did not start: {said.strip()}")
            time.sleep(0.01)
        self.url = said.split()[1].rpartition("/")[0]
        self._port = int(self.url.rpartition(":")[2])
        return self

    def stop(self) -> None:
        """End the server as SIGTERM does, and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash does."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """What the server wrote so far."""
        return self._log.read_text()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def arguments(specs: Sequence[StoreSpec]) -> list[str]:
    """The command line options that make these stores."""
    options: list[str] = []
    for spec in specs:
        sources = [("--generate", spec.orders), ("--orders-csv", spec.orders_csv), ("--buyers", spec.buyers)]
        facts: list[tuple[str, object]] = [source for source in sources if source[1] is not None]
        facts += [("--currency", spec.currency), ("--timezone", spec.timezone), ("--seed", spec.seed)]
        facts += [("--plan", spec.plan), ("--scopes", ",".join(spec.scopes)), ("--token", spec.token)]
        if spec.until is not None:
            facts.append(("--until", spec.until.isoformat()))
        if spec.taxes_included is not None:
            facts.append(("--taxes-included", str(spec.taxes_included).lower()))
        for option, value in facts:
            options += [option, f"{spec.handle}={value}"]
    return options
