"""`make dev`: everything on loopback, until it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.loopback import answers, free_port

pytestmark = pytest.mark.thorough

SECONDS = 300
"""Stores are connected, and Dagster is started, on a machine that runs all tests at once."""


def test_the_ui_and_the_gateway_answer_and_end_when_they_are_told_to(
    make_parsed_home: Callable[[], Path], tmp_path: Path
) -> None:
    ports = {
        name: free_port()
        for name in ("XENO_DAGSTER_PORT", "XENO_GATEWAY_PORT", "XENO_INSIGHTS_PORT", "XENO_SANDBOX_PORT")
    }
    environment = {
        **os.environ,
        "XENO_HOME": str(make_parsed_home()),
        **{name: str(port) for name, port in ports.items()},
    }
    ui = f"http://127.0.0.1:{ports['XENO_DAGSTER_PORT']}/server_info"
    gateway = f"http://127.0.0.1:{ports['XENO_GATEWAY_PORT']}/readyz"
    insights = f"http://127.0.0.1:{ports['XENO_INSIGHTS_PORT']}/readyz"
    with (tmp_path / "dev.log").open("w+") as log:
        command = [sys.executable, "-m", "xeno_pipeline.cli", "dev"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + SECONDS
            while not (answers(ui) and answers(gateway) and answers(insights)):
                assert process.poll() is None, (tmp_path / "dev.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "dev.log").read_text()
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert not answers(ui)
    assert not answers(gateway)
    assert not answers(insights)
