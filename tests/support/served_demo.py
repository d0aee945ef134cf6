"""What `make demo` and then `make dev` leave a person to look at."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.loopback import answers, free_port
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.demo.left_insights import end_left_insights
from xeno_pipeline.settings import Settings

_START_SECONDS = 240
"""For stores, gateway, Dagster and its code location, on a machine that runs all tests at once."""

_PORTS = ("XENO_DAGSTER_PORT", "XENO_GATEWAY_PORT", "XENO_INSIGHTS_PORT", "XENO_SANDBOX_PORT")
_LINK = re.compile(r"http://127\.0\.0\.1:\d+/sign-in/xeno_\w+")


@dataclass(frozen=True)
class ServedDemo:
    """Where it is.

    Args:
        url: of the Dagster UI.
        link: what `make dev` printed: it signs in to the dashboard, once.
    """

    home: Path
    url: str
    link: str

    @property
    def dashboard(self) -> str:
        """Where the dashboard is."""
        return self.link.partition("/sign-in/")[0]


@contextmanager
def served_demo(home: Path) -> Iterator[ServedDemo]:
    """All of it over what the demo left in a home of its own, for the length of a `with`."""
    ports = {name: free_port() for name in _PORTS}
    environment = {**os.environ, "XENO_HOME": str(home), **{name: str(port) for name, port in ports.items()}}
    xeno = [sys.executable, "-m", "xeno_pipeline.cli"]
    try:
        subprocess.run([*xeno, "demo"], env=environment, check=True)
        with tempfile.TemporaryFile("w+") as output:
            dev = subprocess.Popen([*xeno, "dev"], env=environment, stdout=output)
            try:
                url = f"http://127.0.0.1:{ports['XENO_DAGSTER_PORT']}"
                deadline = time.monotonic() + _START_SECONDS
                while not answers(f"{url}/server_info"):
                    if dev.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError("The UI does not start.")
                    time.sleep(0.5)
                output.seek(0)
                [link] = _LINK.findall(output.read())
                yield ServedDemo(home, url, link)
            finally:
                dev.send_signal(signal.SIGTERM)
                dev.wait(60)
    finally:
        end_left_insights(Settings(home=home))
        EmbeddedServer(home).stop()
