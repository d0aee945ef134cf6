"""Ports, and the processes that listen at them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

import orjson

from xeno_pipeline.errors import XenoError

_SECONDS_TO_START = 60.0


class NotStartedError(XenoError):
    """A process of the demo's ended before it was of use."""


def usable_port(wanted: int) -> int:
    """The wanted port of the loopback interface; 0, which is any free one, where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def listens_at(process: subprocess.Popen[bytes], log: Path, log_offset: int) -> int:
    """The port that the log of a web process tells, once it does.

    Args:
        process: the web process.
        log: its log.
        log_offset: how many bytes of that are not this process's.

    Raises:
        NotStartedError: it ended, or said nothing for a minute.
    """
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_bytes()[log_offset:].splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                said = orjson.loads(line)
                if said.get("message") == "listening":
                    return int(said["port"])
        time.sleep(0.05)
    raise NotStartedError(f"A web process did not start: see {log}.")
