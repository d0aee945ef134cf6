"""Tests that are interrupted leave no server behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from xeno_pipeline.settings import PROJECT_DIR

pytestmark = pytest.mark.thorough

_COMMAND = [sys.executable, "-m", "tests.support.supervise", "-q", "-p", "no:cacheprovider"]


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux can a process adopt the orphans of another")
@pytest.mark.parametrize("interruption", ["SIGINT", "SIGTERM", "SIGKILL of pytest"])
def test_interrupted_tests_leave_no_server_behind(interruption: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    run = subprocess.Popen(
        [*_COMMAND, "tests/support/held_servers.py"],
        cwd=PROJECT_DIR,
        env=os.environ | {"READY": str(ready)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for(ready, run)
    pytest_itself, *_ = psutil.Process(run.pid).children()
    servers = psutil.Process(run.pid).children(recursive=True)
    assert "postgres" in {process.name() for process in servers}

    if interruption == "SIGKILL of pytest":
        pytest_itself.kill()
    else:
        run.send_signal(signal.Signals[interruption])

    assert run.wait(60) != 0
    assert [process for process in servers if process.is_running()] == []


def _wait_for(file: Path, run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while not file.exists():
        assert run.poll() is None, "the tests ended before they held servers"
        assert time.monotonic() < deadline, "no server was started in time"
        time.sleep(0.1)
